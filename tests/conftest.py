"""What every test starts with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

import pytest

_LOOP: Final = asyncio.new_event_loop()


@pytest.fixture(autouse=True)
def _event_loop() -> Iterator[None]:
    """Pulumi's mocks take the current event loop, and asyncio.run takes it away from whatever comes after it."""
    asyncio.set_event_loop(_LOOP)
    yield
    asyncio.set_event_loop(_LOOP)
