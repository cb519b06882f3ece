"""One lab for all tests of Redis and Valkey."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.redis_tls.stack import Stack


@pytest.fixture(scope="package")
def _stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("redis"))
    yield stack
    stack.up(None, check=False)
    stack.project.destroy()


@pytest.fixture(scope="module")
def stack(_stack: Stack) -> Iterator[Stack]:
    """The stack, without Redis before and after a module's tests."""
    yield _stack
    _stack.up(None)
    for host in ("redis1", "redis2", "redis3", "redis4", "redis5", "redis6"):
        _stack.host(host).run("rm -rf /var/lib/redis-tls /var/lib/valkey-tls")
