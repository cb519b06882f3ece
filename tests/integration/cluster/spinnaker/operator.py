"""The operator's part: from the settings of a service to its pods, as Halyard's templates do it.

https://spinnaker.io/docs/reference/halyard/custom/#custom-service-settings: `env` becomes the container's variables,
beside Halyard's own JAVA_OPTS unless there is one, and each of `kubernetes.volumes` a volume and its mount.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.integration.cluster.stack import Cluster

HEAP: Final = "-XX:MaxRAMPercentage=50.0"
_SECONDS: Final = 120


class Operator:
    """Runs services in a namespace of the cluster."""

    def __init__(self, cluster: Cluster, namespace: str, image: str) -> None:
        self._cluster, self._namespace, self.image = cluster, namespace, image

    def run(self, service: str, spinnaker: Mapping[str, Any], *, jedis: str) -> None:
        """Bring a service to what a SpinnakerService says, and wait until it reads and writes."""
        settings = spinnaker["spec"]["spinnakerConfig"]["service-settings"]
        self._cluster.apply(self._deployment(service, settings[service], settings["redis"]["overrideBaseUrl"], jedis))
        self.wait(service)

    def wait(self, service: str) -> None:
        """Wait until a service's pods read and write."""
        waiting = ("rollout", "status", f"deployment/{service}", f"--timeout={_SECONDS}s")
        self._cluster.kubectl("-n", self._namespace, *waiting)

    def pod(self, service: str) -> str:
        """Name of a service's one pod that is not being stopped."""
        chosen = ("get", "pods", f"--selector=app={service}", "--output=jsonpath={.items[*].metadata.name}")
        (name,) = self._cluster.kubectl("-n", self._namespace, *chosen).split()
        return name

    def ask(self, service: str, *words: str, check: bool = True, **variables: str) -> str:
        """What another JVM in a service's container answers, with its options or others."""
        given = [f"{name}={value}" for name, value in variables.items()]
        # What the launcher says of its own options goes to the standard error.
        command = ("env", *given, "service", *words)
        return self._cluster.exec(self._namespace, self.pod(service), *command, check=check).strip()

    def _deployment(self, service: str, settings: Mapping[str, Any], url: str, jedis: str) -> dict[str, Any]:
        variables = {"JAVA_OPTS": HEAP, "JEDIS": jedis, **settings["env"]}
        mounted = settings["kubernetes"]["volumes"]
        assert {each["type"] for each in mounted} == {"secret"}
        container = {
            "name": service,
            "image": self.image,
            "imagePullPolicy": "Never",
            "args": ["serve", url],
            "env": [{"name": name, "value": value} for name, value in variables.items()],
            "volumeMounts": [{"name": each["id"], "mountPath": each["mountPath"]} for each in mounted],
            "readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/served"]}, "periodSeconds": 1},
            "resources": {"limits": {"memory": "384Mi"}},
        }
        spec = {
            "nodeName": "worker1",
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            "volumes": [{"name": each["id"], "secret": {"secretName": each["id"]}} for each in mounted],
        }
        labels = {"app": service}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": service, "namespace": self._namespace, "labels": labels},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        }
