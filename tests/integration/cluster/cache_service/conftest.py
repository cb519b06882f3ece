"""One cache service for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.cluster.cache_service.stack import Service
from tests.integration.cluster.stack import Cluster


@pytest.fixture(scope="package")
def service(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("service"), cluster)
    yield service
    service.destroy()
