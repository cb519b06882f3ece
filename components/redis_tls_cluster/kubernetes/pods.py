"""A group on Kubernetes: its objects as resources, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes

from components.certificates import Certificate, CertificateArgs
from components.inputs import combined
from components.kubernetes_cluster import KubernetesCluster
from components.redis_tls_cluster import rendering
from components.redis_tls_cluster.arguments import RedisTlsClusterArgs
from components.redis_tls_cluster.kubernetes.names import DATA, SENTINEL, Names
from components.redis_tls_cluster.kubernetes.objects import CLAIM, Object, Objects
from components.redis_tls_cluster.member import Shared, line
from components.redis_tls_cluster.settings import MANAGER, REPLICATION
from components.redis_tls_cluster.settings import SENTINEL as SENTINEL_ACCOUNT

# Class and, since objects of several kinds have the same name, ending of a resource's name.
_KINDS: Final[Mapping[str, tuple[type[pulumi.CustomResource], str]]] = {
    "ConfigMap": (kubernetes.core.v1.ConfigMap, "config"),
    "Job": (kubernetes.batch.v1.Job, "job"),
    "NetworkPolicy": (kubernetes.networking.v1.NetworkPolicy, "policy"),
    CLAIM: (kubernetes.core.v1.PersistentVolumeClaim, "volume"),
    "PodDisruptionBudget": (kubernetes.policy.v1.PodDisruptionBudget, "budget"),
    "Secret": (kubernetes.core.v1.Secret, "secret"),
    "Service": (kubernetes.core.v1.Service, "service"),
    "StatefulSet": (kubernetes.apps.v1.StatefulSet, "pods"),
}
_PROPERTIES: Final = {"stringData": "string_data", **{name: name for name in ("metadata", "spec", "data", "type")}}


class Pods:
    """A group on Kubernetes.

    Attributes:
        names: What its objects and pods are called.
        served: Certificates that clients are shown, for whoever verifies them.
    """

    def __init__(self, name: str, args: RedisTlsClusterArgs, shared: Shared, opts: pulumi.ResourceOptions) -> None:
        self._name, self._args, self._shared, self._opts = name, args, shared, opts
        self._settings = args.settings
        self._objects = Objects(args.settings)
        self.names: Names = self._objects.names
        self.served: list[dict[str, Any]] = []
        self._cluster = args.cluster or KubernetesCluster(f"{name}-kubernetes", opts=opts)
        self._make()

    def _make(self) -> None:
        objects, parts = self._objects, self._objects.parts
        told = list(objects.configuration())
        kept = {part: self._kept(part) for part in parts}
        around = self._resources([*told, *objects.headless(), *objects.policies(), *objects.budgets()])
        # Last, so that what is delivered is rarely half of it; the next delivery would be whole.
        secrets = self._resources((objects.secret(part, kept[part]) for part in parts), after=around)
        startup = rendering.digest(rendering.startup(self._settings))
        sets = [objects.servers(startup)]
        if SENTINEL in parts:
            sets.append(objects.sentinels(_digest(_texts(told, self.names.pods_of(SENTINEL)), kept[SENTINEL])))
        # A set cannot change what it asks of volumes, and would be replaced: all pods away at once.
        pods = self._resources(
            sets, after=[*around, *secrets, *self._volumes()], ignore_changes=["spec.volumeClaimTemplates"]
        )
        self._resources(objects.services(), after=pods)
        everything = [str(self._settings.kubernetes), *(text for each in told for text in each["data"].values())]
        whole = {f"{part}/{key}": content for part in parts for key, content in kept[part].items()}
        self._resources([objects.settle(_digest(everything, whole))], after=pods)

    def _volumes(self) -> list[pulumi.CustomResource]:
        """The pods' volumes: they grow where they are, and only what is said of the whole group takes them away."""
        return self._resources(
            self._objects.volumes(),
            provider=self._cluster.keeper,
            retain_on_delete=not self._settings.remove_data,
            # Another class would be another volume, without the data.
            ignore_changes=["spec.storageClassName"],
        )

    def _resources(
        self,
        objects: Iterable[Object],
        after: Iterable[pulumi.Resource] = (),
        **options: Any,  # noqa: ANN401
    ) -> list[pulumi.CustomResource]:
        given = {"provider": self._cluster.provider, "depends_on": [*self._args.after, *after], **options}
        opts = pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(**given))
        return [self._resource(each, opts) for each in objects]

    def _resource(self, given: Object, opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
        kind, ending = _KINDS[given["kind"]]
        own = given["metadata"]["name"].removeprefix(f"{DATA}-" if given["kind"] == CLAIM else "")
        own = own.removeprefix(self._settings.name)
        inputs = {_PROPERTIES[key]: value for key, value in given.items() if key in _PROPERTIES}
        return kind(f"{self._name}{own}-{ending}", opts=opts, **inputs)

    def _kept(self, part: str) -> dict[str, pulumi.Input[str]]:
        """What is in the Secret of servers or Sentinels."""
        settings, shared = self._settings, self._shared
        certificate = Certificate(
            f"{self._name}-{part}",
            CertificateArgs(
                authority=self._args.authority,
                common_name=settings.common_name(part),
                names=self.names.certified(part),
                settings=settings.certificates,
            ),
            self._opts,
        )
        self.served += self._served(part, certificate)
        return {
            **(self._sentinel_accounts() if part == SENTINEL else self._server_accounts()),
            "manager.password": line(shared.current[MANAGER]),
            "root.crt": self._args.authority.trusted,
            "server.crt": certificate.certificate,
            "server.key": certificate.private_key,
            "client.crt": shared.client.certificate,
            "client.key": shared.client.private_key,
        }

    def _served(self, part: str, certificate: Certificate) -> Iterator[dict[str, Any]]:
        """Say what each pod shows; where that is, is said by the provider of its objects and by its name."""
        settings = self._settings
        for address in self.names.addresses(part):
            yield {
                "address": address,
                "port": settings.sentinel.port if part == SENTINEL else settings.tls_port,
                "certificate": certificate.certificate,
                "trusted": self._args.authority.trusted,
                "renewalDays": settings.certificates.renewal_days,
                "names": list(self.names.certified(part)),
            }

    def _server_accounts(self) -> dict[str, pulumi.Input[str]]:
        return {
            "users.acl": self._shared.accounts(partial(rendering.users, self._settings)),
            "passwords.conf": combined(rendering.replication_password, self._shared.current[REPLICATION]),
        }

    def _sentinel_accounts(self) -> dict[str, pulumi.Input[str]]:
        password = partial(rendering.sentinel_passwords, self._settings)
        return {
            "sentinel-users.acl": self._shared.accounts(partial(rendering.sentinel_users, self._settings)),
            "sentinel.passwords": combined(password, self._shared.current[SENTINEL_ACCOUNT]),
        }


def _texts(told: Iterable[Object], name: str) -> list[str]:
    return [text for each in told if each["metadata"]["name"] == name for text in each["data"].values()]


def _digest(known: Iterable[str], kept: Mapping[str, pulumi.Input[str]]) -> pulumi.Input[str]:
    """Tell one content from another; what is secret in it holds generated passwords, which nobody guesses."""
    digest: Any = combined(rendering.digest, *known, *kept.values())
    return pulumi.Output.unsecret(digest) if isinstance(digest, pulumi.Output) else digest
