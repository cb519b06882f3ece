"""Redis and Spinnaker in the cluster, and a Redis on a host, by this repository's own program."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.cluster.spinnaker import service_image
from tests.integration.cluster.spinnaker.stack import CACHE, NAMESPACE, Stack, definition
from tests.integration.cluster.stack import Cluster
from tests.integration.cluster.volumes import Volumes


@pytest.fixture(scope="package")
def stack(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack, up, with a SpinnakerService beside its own that was there before."""
    image = service_image.ensure()
    service_image.give(image, cluster.host("worker1"))
    definitions = [definition(group) for group in ("spinnaker.io", "spinnaker.armory.io")]
    volumes = Volumes(cluster, CACHE)
    with cluster.namespace(CACHE), cluster.namespace(NAMESPACE):
        volumes.make("ci-server-0", "worker1")
        cluster.apply(*definitions)
        for each in definitions:
            cluster.kubectl("wait", "--for=condition=Established", f"crd/{each['metadata']['name']}", "--timeout=30s")
        stack = Stack(tmp_path_factory.mktemp("spinnaker"), cluster, image)
        try:
            stack.up()
            yield stack
        finally:
            stack.destroy()
            volumes.clear()
            for each in definitions:
                cluster.kubectl("delete", "crd", each["metadata"]["name"])
