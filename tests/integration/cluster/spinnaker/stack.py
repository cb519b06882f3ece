"""The stack that these tests look at and change."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lab.cluster import node_image
from policies.rules.certificates import KEY, ROOT
from tests.integration.cluster.spinnaker import service_image
from tests.integration.cluster.spinnaker.operator import Operator
from tests.integration.cluster.stack import Cluster
from tests.integration.production.conftest import NAME, PROGRAM
from tests.integration.support import Outcome, Project
from verification.export import parse

NAMESPACE: Final = "spinnaker"
CACHE: Final = "redis"
"""Namespace of the Redis that is in the cluster."""
REDIS: Final = "lb1"
"""Host of the other one."""
HALYARD: Final = "app1"
HOME: Final = "/srv/halyard"
THEIRS: Final[dict[str, Any]] = {
    "spinnakerConfig": {"config": {"version": "2.36.0"}, "profiles": {"rosco": {"theirs": True}}}
}
"""What somebody else says in a SpinnakerService that this stack patches."""


def definition(group: str) -> dict[str, Any]:
    """Make the definition of SpinnakerServices of one API group, as its operator installs it."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"spinnakerservices.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "spinnakerservices", "singular": "spinnakerservice", "kind": "SpinnakerService"},
            "versions": [{"name": "v1alpha2", "served": True, "storage": True, "schema": schema}],
        },
    }


class Stack:
    """A SpinnakerService and Halyard's files of one Spinnaker, whose Redis is a pod; and a patch of another one's.

    Attributes:
        project: Its Pulumi project.
        operator: Runs Spinnaker's services.
        bundle: What the services' image trusts, in PEM.
    """

    def __init__(self, directory: Path, cluster: Cluster, image: str) -> None:
        self.cluster, self.directory, self._image = cluster, directory, image
        self.operator = Operator(cluster, NAMESPACE, image)
        self.bundle = directory / "bundle.pem"
        self.bundle.write_text(service_image.read(image, "/etc/ssl/certs/ca-certificates.crt"))
        known = cluster.project.outputs()
        # The stack's cluster, whatever kubectl would take.
        self._kubernetes = {"kubernetes:kubeconfig": known["kubeconfig"]}
        self._hosts = {name: known["hosts"][name] for name in (REDIS, HALYARD)}
        made = Project.create(directory, PROGRAM, name=NAME)
        self.project = replace(made, environment={**made.environment, "KUBECONFIG": "/nowhere"})
        cluster.host(HALYARD).run("useradd --system spinnaker")
        cluster.apply(self._of_somebody_else())
        self.configure()

    @property
    def url(self) -> str:
        """Address of the Redis that is in the cluster: its Service."""
        return f"rediss://ci.{CACHE}.svc:6379"

    @property
    def hosted_url(self) -> str:
        """Address of the Redis that is on a host."""
        return f"rediss://{self.cluster.host(REDIS).address}:6379"

    def configure(
        self, *, patched: bool = True, auth_clients: str = "yes", group: str = "ci", **certificates: Any
    ) -> None:
        """Write the stack's configuration.

        Args:
            patched: Whether somebody else's SpinnakerService is patched.
            auth_clients: Whether the Redis on a host asks for certificates.
            group: The group that is named for Redis.
            certificates: Of the services' certificate.
        """
        address = self.cluster.host(REDIS).address
        ours = {
            "namespace": NAMESPACE,
            "redis": {"host": f"ci.{CACHE}.svc", "group": group},
            "services": ["gate", "igor"],
            "separate": [{"service": "dinghy", "redis": f"rediss://{address}:6380"}],
            "publicAuthorities": str(self.bundle),
            "certificates": certificates,
            "operator": {"patch": False},
            "halyard": {"host": HALYARD, "deployment": HOME},
        }
        other = {
            "name": "other",
            "namespace": NAMESPACE,
            "redis": {"host": address, "group": "hosted"},
            "services": ["rosco"],
            "jvmOptions": "environment",
            "operator": {"apiGroup": "spinnaker.armory.io"},
        }
        both = {"users": [{"name": "default"}], "keyspaceEvents": "Egx", "removeData": True}
        clients = [{"pods": {"app": service}, "namespace": NAMESPACE} for service in ("gate", "igor")]
        pods = {"namespace": CACHE, "image": node_image.pod_image("redis"), "clients": clients}
        servers = [
            {"name": "ci", "kubernetes": pods, **both},
            {"name": "hosted", "nodes": [{"host": REDIS}], "tls": {"authClients": auth_clients}, **both},
        ]
        spinnakers = [ours, other] if patched else [ours]
        self.project.configure({**self._kubernetes, "hosts": self._hosts, "redis": servers, "spinnaker": spinnakers})

    def up(self) -> Outcome:
        """Run `pulumi up`."""
        return self.project.up()

    def destroy(self) -> None:
        """Take everything back, on the hosts and in the cluster."""
        self.project.destroy()
        self.cluster.host(HALYARD).run("userdel spinnaker")

    def spinnaker(self, kind: str = "spinnakerservices.spinnaker.io", name: str = "spinnaker") -> dict[str, Any]:
        """A SpinnakerService as the API server has it."""
        return dict(json.loads(self.cluster.kubectl("-n", NAMESPACE, "get", kind, name, "--output=json")))

    @property
    def patched(self) -> dict[str, Any]:
        """The one that somebody else made."""
        return self.spinnaker("spinnakerservices.spinnaker.armory.io", "other")

    def secrets(self) -> set[str]:
        """Names of the Secrets with stores."""
        listed = self.cluster.kubectl("-n", NAMESPACE, "get", "secrets", "--output=name")
        return set(re.findall(r"^secret/(\S+-redis-mtls-[0-9a-f]{10})$", listed, re.MULTILINE))

    def state(self, kind: str, name: str) -> dict[str, Any]:
        """The outputs of a resource, secrets included."""
        state = parse(self.project.pulumi("stack", "export", "--show-secrets").text)
        return next(dict(each.outputs) for each in state.of_kind(kind) if each.name == name)

    def client(self, name: str = "spinnaker") -> dict[str, str]:
        """What the services of a Spinnaker have: certificate, key, trusted, password."""
        kind = "sealed-data-tier:spinnaker_redis_mtls:SpinnakerRedisMtls"
        return dict(self.state(kind, name)["client"])

    def authority(self) -> tuple[x509.Certificate, Any]:
        """The authority's certificate and key, to make certificates that it would never make."""
        certificate = x509.load_pem_x509_certificate(self.state(ROOT, "authority-root-1")["certPem"].encode())
        key = self.state(KEY, "authority-key-1")["privateKeyPem"]
        return certificate, serialization.load_pem_private_key(key.encode(), None)

    def options(self, name: str) -> dict[str, str]:
        """What Java is told by a Spinnaker's Secret."""
        text = base64.b64decode(
            self.state("kubernetes:core/v1:Secret", f"{name}-stores")["data"]["jvm-options"]
        ).decode()
        return dict(line.removeprefix("-D").split("=", 1) for line in text.splitlines())

    def passwords(self) -> set[str]:
        """Everything that must not be seen: passwords of Redis, and of the key stores."""
        known = [self.options(name) for name in ("spinnaker", "other")]
        sent = {str(urlsplit(each["redis.connection"]).password) for each in known}
        found = {each["javax.net.ssl.keyStorePassword"] for each in known} | sent
        assert len(found) == 4
        return found

    def _of_somebody_else(self) -> dict[str, Any]:
        return {
            "apiVersion": "spinnaker.armory.io/v1alpha2",
            "kind": "SpinnakerService",
            "metadata": {"name": "other", "namespace": NAMESPACE},
            "spec": THEIRS,
        }
