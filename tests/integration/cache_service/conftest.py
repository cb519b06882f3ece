"""The cache service that these tests break: an application host, a load balancer and two workers of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from tests.integration.tunnels.stack import Stack

LAB: Final = {
    "prefix": "sdt-cache",
    "hosts": ["app1", "lb1", "worker1", "worker2"],
    "subnet": "10.203.38.0/24",
    "subnet6": None,
}
SERVICE: Final[Mapping[str, Any]] = {
    "applicationHosts": ["app1"],
    "loadBalancer": "lb1",
    "workers": [
        {"host": "worker1", "name": "worker1.example.com", "localPort": 30378},
        {"host": "worker2", "name": "worker2.example.com", "localPort": 30380},
    ],
}


@pytest.fixture(scope="package")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Hosts; destroyed when the last test of this folder is done."""
    stack = Stack.create(tmp_path_factory.mktemp("cache"), LAB)
    yield stack
    stack.destroy()


@pytest.fixture
def stack(hosts: Stack) -> Stack:
    """The same with the cache service."""
    hosts.settle(cacheService=SERVICE)
    return hosts
