"""One lab for all tests of a pair."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.postgres.stack import Stack


@pytest.fixture(scope="package")
def _stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("postgres"))
    yield stack
    stack.project.destroy()


@pytest.fixture
def pair(_stack: Stack) -> Stack:
    """The pair as configured by default, both nodes well."""
    _stack.settle()
    return _stack
