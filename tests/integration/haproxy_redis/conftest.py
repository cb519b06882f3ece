"""One lab for all tests of HAProxy before Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.haproxy_redis.front import Front


@pytest.fixture(scope="package")
def _front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    front = Front(tmp_path_factory.mktemp("haredis"))
    yield front
    front.project.destroy()


@pytest.fixture
def front(_front: Front) -> Front:
    """The load balancer before its group, everybody well."""
    _front.up()
    _front.settle()
    return _front
