"""A namespace that enforces the restricted profile, for all groups of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.cluster.stack import Cluster


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    with cluster.namespace("caches") as namespace:
        cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        yield namespace
