"""The tunnels that these tests break and change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.tunnels.stack import TUNNELS, Stack


@pytest.fixture(scope="package")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Hosts; destroyed when the last test of this folder is done."""
    stack = Stack.create(tmp_path_factory.mktemp("tunnels"))
    yield stack
    stack.destroy()


@pytest.fixture
def stack(hosts: Stack) -> Stack:
    """The same with the tunnels as they are configured by default."""
    hosts.settle(tunnels=TUNNELS)
    return hosts
