"""What depends on a lab's cluster waits here until it is ready."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_docker as docker

from lab.cluster import node_image
from lab.settings import CLUSTER, LabSettings
from lab.uploads import upload

READY_SECONDS: Final = 180
"""How long a cluster may take from the creation of its nodes until pods run and names are known."""

_KUBECONFIG: Final = "/root/.kube/config"
# What is not ready is the last that is said.
_AWAIT: Final = """\
echo the API server; until kubectl get --raw /readyz >/dev/null 2>&1; do sleep 0.2; done
echo what gives it DNS and roles; kubectl apply --filename /usr/local/share/cluster/addons >/dev/null || exit
for node in "$@"; do
    echo "node $node"; until kubectl wait --for=condition=Ready "node/$node" >/dev/null 2>&1; do sleep 0.2; done
done
echo CoreDNS; kubectl --namespace kube-system rollout status deployment coredns >/dev/null
"""


@dataclass(frozen=True)
class Gate:
    """What is as old as its cluster, and opens when that is ready.

    Attributes:
        container: Ends then; another one where the nodes are others.
        kubeconfig: By which an administrator reaches the cluster, known then (secret).
    """

    container: docker.Container
    kubeconfig: pulumi.Output[str]


def before(
    name: str,
    settings: LabSettings,
    kubeconfig: pulumi.Output[str],
    born: pulumi.Output[str],
    opts: pulumi.ResourceOptions,
) -> Gate:
    """Creates a container that gives the cluster its DNS and its roles, and ends when it is ready.

    Args:
        name: The lab's resource.
        settings: The lab, with a cluster.
        kubeconfig: An administrator's (secret).
        born: Changes with the nodes: other nodes, another gate.
        opts: Of the container.
    """
    labels: dict[str, pulumi.Input[str]] = {**settings.labels(), "sealed-data-tier.gate-for": born}
    container = docker.Container(
        f"{name}-{CLUSTER}",
        name=settings.container(CLUSTER),
        image=node_image.reference(),
        command=["timeout", str(READY_SECONDS), "bash", "-c", _AWAIT, CLUSTER, *settings.nodes],
        attach=True,
        logs=True,
        must_run=False,
        networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=settings.prefix)],
        uploads=[upload(_KUBECONFIG, kubeconfig, mode="0600")],
        labels=[docker.ContainerLabelArgs(label=label, value=value) for label, value in labels.items()],
        opts=opts,
    )
    ends = pulumi.Output.all(container.name, container.exit_code, container.container_logs, kubeconfig)
    return Gate(container, pulumi.Output.secret(ends.apply(lambda end: _opened(*end))))


def _opened(gate: str, exit_code: int | None, said: str | None, kubeconfig: str) -> str:
    if exit_code:
        missing = (said or "the API server").strip().splitlines()[-1]
        raise pulumi.RunError(
            f"{missing} was not ready within {READY_SECONDS} s of the cluster's creation: see what "
            f"python -m lab cluster why says; to ask again: docker rm {gate}, then pulumi up --refresh"
        )
    return kubeconfig
