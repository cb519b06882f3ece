"""The cache service in a cluster, as the vendor's component pack brings it: one Valkey behind a NodePort.

Its password is in a file of its own, which the configuration includes and a Secret holds, so that no pod specification,
argument or variable has it. Whoever comes by the NodePort is let in; the cluster's other pods are not.
"""

from __future__ import annotations

from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes

from lab.cache_service import required
from lab.cluster import node_image
from lab.settings import POD_SUBNET

NAMESPACE: Final = "connections"
NAME: Final = "cache-service"
PORT: Final = 6379
"""Where Valkey listens in its pod, and its Service in the cluster."""

_LABELS: Final = {"app": NAME}
_DIRECTORY: Final = "/etc/cache-service"
_FILE: Final = "valkey.conf"
_PASSWORDS: Final = "passwords.conf"
# Without `bind` it listens on every address of its pod.
_CONFIGURATION: Final = f"""\
port {PORT}
save ""
include {_DIRECTORY}/{_PASSWORDS}
"""
_USER: Final = 65532
_GROUP_MAY_READ: Final = 0o440
# It asks without a password, and any answer is one.
_PROBE: Final = ("valkey-cli", "-p", str(PORT), "PING")
_EVERYBODY: Final = "0.0.0.0/0"


def valkey(
    name: str,
    provider: kubernetes.Provider,
    *,
    password: pulumi.Output[str],
    port: int,
    opts: pulumi.ResourceOptions,
) -> None:
    """Creates Valkey and what opens the NodePort.

    Args:
        name: Begins the names of the resources.
        provider: Of the cluster.
        password: Valkey's (secret).
        port: The NodePort.
        opts: Of every object.
    """
    here = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(provider=provider))
    namespace = kubernetes.core.v1.Namespace(f"{name}-namespace", metadata={"name": NAMESPACE}, opts=here)
    metadata: kubernetes.meta.v1.ObjectMetaArgsDict = {"name": NAME, "namespace": namespace.metadata["name"]}
    kubernetes.core.v1.ConfigMap(f"{name}-configuration", metadata=metadata, data={_FILE: _CONFIGURATION}, opts=here)
    kubernetes.core.v1.Secret(
        f"{name}-password", metadata=metadata, string_data={_PASSWORDS: password.apply(required)}, opts=here
    )
    kubernetes.networking.v1.NetworkPolicy(f"{name}-clients", metadata=metadata, spec=_clients(), opts=here)
    kubernetes.core.v1.Service(
        f"{name}-node-port",
        metadata=metadata,
        spec={"type": "NodePort", "selector": _LABELS, "ports": [{"port": PORT, "node_port": port}]},
        opts=here,
    )
    kubernetes.apps.v1.Deployment(f"{name}-valkey", metadata=metadata, spec=_deployment(), opts=here)


def _clients() -> kubernetes.networking.v1.NetworkPolicySpecArgsDict:
    others: kubernetes.networking.v1.IPBlockArgsDict = {"cidr": _EVERYBODY, "except_": [str(POD_SUBNET)]}
    return {
        "pod_selector": {"match_labels": _LABELS},
        "policy_types": ["Ingress"],
        "ingress": [{"from_": [{"ip_block": others}], "ports": [{"port": PORT}]}],
    }


def _deployment() -> kubernetes.apps.v1.DeploymentSpecArgsDict:
    container: kubernetes.core.v1.ContainerArgsDict = {
        "name": "valkey",
        "image": node_image.pod_image("valkey"),
        "image_pull_policy": "Never",
        "command": ["valkey-server", f"{_DIRECTORY}/{_FILE}"],
        "ports": [{"container_port": PORT}],
        "readiness_probe": {"exec_": {"command": list(_PROBE)}, "period_seconds": 2},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
        "security_context": {
            "allow_privilege_escalation": False,
            "capabilities": {"drop": ["ALL"]},
            "read_only_root_filesystem": True,
        },
        "volume_mounts": [{"name": "configuration", "mount_path": _DIRECTORY, "read_only": True}],
    }
    both: kubernetes.core.v1.ProjectedVolumeSourceArgsDict = {
        "default_mode": _GROUP_MAY_READ,
        "sources": [{"config_map": {"name": NAME}}, {"secret": {"name": NAME}}],
    }
    pod: kubernetes.core.v1.PodSpecArgsDict = {
        "automount_service_account_token": False,
        "containers": [container],
        "security_context": {
            "run_as_non_root": True,
            "run_as_user": _USER,
            "run_as_group": _USER,
            "fs_group": _USER,
            "seccomp_profile": {"type": "RuntimeDefault"},
        },
        "volumes": [{"name": "configuration", "projected": both}],
    }
    return {
        "selector": {"match_labels": _LABELS},
        # There is one at a time: what one has, another has not.
        "strategy": {"type": "Recreate"},
        "template": {"metadata": {"labels": _LABELS}, "spec": pod},
    }
