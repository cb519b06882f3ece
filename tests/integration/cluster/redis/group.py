"""A group on the cluster as tests hold it: its stack, its volumes, and pods that are its clients."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lab.cluster import node_image
from tests.authority import Authority
from tests.integration.cluster.stack import Cluster
from tests.integration.cluster.volumes import OWNER, Volumes
from tests.integration.support import Outcome, Project, wait_for

FRIENDS: Final = {"app": "shop"}
_RESTRICTED: Final = {
    "runAsNonRoot": True,
    "runAsUser": OWNER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONFINED: Final = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
# What a client's script says before it asks: TLS with the certificates of a Secret, and the password from there.
CLIENT: Final = r"""
export REDISCLI_AUTH=$(cat /client/app.password)
ask() { timeout "${LIMIT:-5}" redis-cli --no-auth-warning --user app --tls --cacert /client/root.crt \
    --cert /client/client.crt --key /client/client.key "$@"; }
"""


class PodGroup:
    """A group in a namespace that enforces the restricted profile.

    Attributes:
        settings: What the stack is told; a test may change it before `up`.
        beside: Configuration of what a program has beside the group.
        volumes: The pods' volumes.
    """

    def __init__(
        self,
        directory: Path,
        cluster: Cluster,
        namespace: str,
        settings: dict[str, Any],
        *,
        program: str = "program.py",
        project: str = "scratch",
        beside: Mapping[str, Any] | None = None,
    ) -> None:
        self.cluster, self.namespace, self.settings, self.beside = cluster, namespace, settings, dict(beside or {})
        self.name: str = settings["name"]
        self.kubeconfig = cluster.project.outputs()["kubeconfig"]
        self.project = Project.create(
            directory, (Path(__file__).parent / program).read_text(), self._config(), name=project
        )
        self.volumes = Volumes(cluster, namespace)

    def _config(self) -> dict[str, Any]:
        return {"redis": self.settings, "kubeconfig": self.kubeconfig, **self.beside}

    def up(self, *, check: bool = True) -> Outcome:
        self.project.configure(self._config())
        return self.project.up(check=check)

    @property
    def address(self) -> str:
        """The name that clients of a single server dial."""
        return f"{self.name}.{self.namespace}.svc.cluster.local"

    def outputs(self) -> dict[str, Any]:
        return dict(self.project.outputs()["redis"][self.name])

    # Pods -------------------------------------------------------------------------------------------------------------

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments, check=check)

    def get(self, *what: str) -> dict[str, Any]:
        return dict(json.loads(self.kubectl("get", *what, "--output=json")))

    def lives(self, part: str) -> dict[str, tuple[str, int]]:
        """Of each pod of a part its identity, and how often any of its containers was started again."""
        pods = self.get("pods", f"--selector=app.kubernetes.io/instance={self.name},app.kubernetes.io/component={part}")
        return {
            pod["metadata"]["name"]: (
                pod["metadata"]["uid"],
                sum(each["restartCount"] for each in pod["status"].get("containerStatuses", ())),
            )
            for pod in pods["items"]
        }

    def give(self, secret: str, **replaced: str) -> None:
        """Give clients what they need, by a Secret."""
        outputs = self.outputs()
        given = {
            "root.crt": outputs["authority"],
            "client.crt": outputs["clientCertificate"],
            "client.key": outputs["clientKey"],
            "app.password": outputs["passwords"]["app"],
        }
        metadata = {"name": secret, "namespace": self.namespace}
        content = {**given, **{name.replace("_", "."): text for name, text in replaced.items()}}
        self.cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": content})

    def give_foreign(self, secret: str) -> None:
        """Give clients a certificate of another authority."""
        certificate, key = Authority().issue()
        self.give(secret, client_crt=certificate, client_key=key)

    def client(
        self, name: str, secret: str, script: str = "sleep infinity", labels: Mapping[str, str] = FRIENDS
    ) -> None:
        """Start a pod that runs a client's script, and wait for it."""
        container = {
            "name": "client",
            "image": node_image.pod_image("redis"),
            "command": ["sh", "-c", CLIENT + script],
            "securityContext": _CONFINED,
            "volumeMounts": [{"name": "client", "mountPath": "/client", "readOnly": True}],
        }
        spec = {
            "terminationGracePeriodSeconds": 0,
            "securityContext": _RESTRICTED,
            "containers": [container],
            "volumes": [{"name": "client", "secret": {"secretName": secret}}],
            # Who drains the worker is not to drain the clients.
            "nodeName": "control",
        }
        metadata = {"name": name, "namespace": self.namespace, "labels": dict(labels)}
        self.cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        self.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")

    def ask(self, client: str, *words: str, host: str | None = None) -> str:
        """What a client is answered; of an error its text."""
        script = CLIENT + 'host=$1; shift; ask -h "$host" "$@" 2>&1'
        command = ("sh", "-c", script, "sh", host or self.address, *words)
        return self.kubectl("exec", client, "--", *command, check=False).strip()

    def lines(self, client: str) -> list[str]:
        """What a client's script has written so far."""
        return self.kubectl("logs", client).splitlines()

    def said(self, client: str, count: int) -> None:
        """Wait until a client's script has written so many lines more."""
        before = len(self.lines(client))
        wait_for(lambda: len(self.lines(client)) >= before + count, 120)
