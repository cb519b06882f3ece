"""A stack with Redis on a host and Spinnaker in the cluster, made by this repository's own program."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.cluster.spinnaker import service_image
from tests.integration.cluster.spinnaker.stack import NAMESPACE, Stack, definition
from tests.integration.cluster.stack import Cluster


@pytest.fixture(scope="package")
def stack(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack, up, with a SpinnakerService beside its own that was there before."""
    image = service_image.ensure()
    service_image.give(image, cluster.host("worker1"))
    definitions = [definition(group) for group in ("spinnaker.io", "spinnaker.armory.io")]
    with cluster.namespace(NAMESPACE):
        cluster.apply(*definitions)
        for each in definitions:
            cluster.kubectl("wait", "--for=condition=Established", f"crd/{each['metadata']['name']}", "--timeout=30s")
        stack = Stack(tmp_path_factory.mktemp("spinnaker"), cluster, image)
        try:
            stack.up()
            yield stack
        finally:
            stack.destroy()
            for each in definitions:
                cluster.kubectl("delete", "crd", each["metadata"]["name"])
