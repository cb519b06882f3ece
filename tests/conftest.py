"""What every test starts with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_LOOP: Final = asyncio.new_event_loop()

# How long an example takes is the busy machine's affair; speed is measured by benchmarks.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _event_loop() -> Iterator[None]:
    """Pulumi's mocks take the current event loop, and asyncio.run takes it away from whatever comes after it."""
    asyncio.set_event_loop(_LOOP)
    yield
    asyncio.set_event_loop(_LOOP)


class OneLabOneWorker(LoadScopeScheduling):
    """Tests that share a lab, a folder in tests/integration, run one after another; all others as files."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0].split("/")
        return "/".join(path[: path.index("integration") + 2] if "integration" in path else path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Have the workers share out what can run side by side."""
    return OneLabOneWorker(config, log)
