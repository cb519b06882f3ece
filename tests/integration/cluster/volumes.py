"""Volumes of pods, which nobody makes on demand in the lab's cluster."""

from __future__ import annotations

from typing import Final

from lab.machine import LabHost
from tests.integration.cluster.stack import Cluster

OWNER: Final = 999
"""Account and group of the pods' processes."""
_PATH: Final = "/srv/volumes"


class Volumes:
    """Volumes in one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster, self._namespace = cluster, namespace
        self._nodes: dict[str, str] = {}

    def make(self, pod: str, node: str, storage_class: str = "") -> None:
        """Make the volume of a pod, on a node of the lab."""
        host, path = self._cluster.host(node), self._path(pod)
        host.run(f"mkdir -p {path} && chown {OWNER}:{OWNER} {path}")
        there = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
        spec = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": storage_class,
            "hostPath": {"path": path},
            "claimRef": {"namespace": self._namespace, "name": f"data-{pod}"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [there]}]}},
        }
        metadata = {"name": f"{self._namespace}-{pod}"}
        self._cluster.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec})
        self._nodes[pod] = node

    def lose(self, pod: str) -> None:
        """Remove everything that is on a pod's volume."""
        self._host(pod).run(f"find {self._path(pod)} -mindepth 1 -delete")

    def clear(self) -> None:
        """Remove the volumes, once nothing is on them."""
        self._cluster.kubectl("-n", self._namespace, "delete", "persistentvolumeclaims", "--all")
        for pod in self._nodes:
            self._cluster.kubectl("delete", "persistentvolume", f"{self._namespace}-{pod}")
            self._host(pod).run(f"rm -rf {self._path(pod)}")

    def _host(self, pod: str) -> LabHost:
        return self._cluster.host(self._nodes[pod])

    def _path(self, pod: str) -> str:
        return f"{_PATH}/{self._namespace}-{pod}"
