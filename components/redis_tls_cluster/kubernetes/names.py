"""What a group's objects and pods are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from components.redis_tls_cluster.kubernetes.settings import KubernetesSettings
from components.redis_tls_cluster.rendering import Group
from components.redis_tls_cluster.settings import RedisTlsSettings

SERVER: Final = "server"
SENTINEL: Final = "sentinel"
SETTLE: Final = "settle"
#: Where a pod has its volume.
DATA: Final = "data"


@dataclass(frozen=True)
class Names:
    """Names of one group.

    Attributes:
        settings: The group.
    """

    settings: RedisTlsSettings

    @property
    def place(self) -> KubernetesSettings:
        """Where the group runs."""
        assert self.settings.kubernetes  # noqa: S101 - nobody asks for the names of pods on hosts
        return self.settings.kubernetes

    def pods_of(self, part: str) -> str:
        """Name of the StatefulSet of servers or Sentinels, of their Secret, and stem of their pods' names."""
        return f"{self.settings.name}-{part}"

    def headless(self, part: str) -> str:
        """Service by which each of the pods has a name."""
        return f"{self.pods_of(part)}s"

    @property
    def service(self) -> str:
        """Service that clients dial: the server, or where there are Sentinels, those."""
        return self.settings.name

    def pod(self, part: str, number: int) -> str:
        """Name of one pod."""
        return f"{self.pods_of(part)}-{number}"

    def claim(self, part: str, number: int) -> str:
        """Name of the claim of one pod's volume, as its StatefulSet calls it."""
        return f"{DATA}-{self.pod(part, number)}"

    def _service(self, name: str) -> str:
        return f"{name}.{self.place.namespace}.svc.{self.place.cluster_domain}"

    def domain(self, part: str) -> str:
        """Whole name of what pods have their names below."""
        return self._service(self.headless(part))

    def address(self, part: str, number: int) -> str:
        """Whole name of one pod, by which all others dial it."""
        return f"{self.pod(part, number)}.{self.domain(part)}"

    @property
    def client_address(self) -> str:
        """Whole name of the Service that clients dial."""
        return self._service(self.service)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Whole names that clients of servers dial: where any of several may lead, all of them."""
        return self.servers if self.settings.sentinels else (self.client_address,)

    @property
    def servers(self) -> tuple[str, ...]:
        """Whole names of all servers; the first one is the first primary."""
        return tuple(self.address(SERVER, number) for number in range(self.settings.servers))

    @property
    def sentinels(self) -> tuple[str, ...]:
        """Whole names of all Sentinels."""
        return tuple(self.address(SENTINEL, number) for number in range(self.settings.sentinels))

    def addresses(self, part: str) -> tuple[str, ...]:
        """Whole names of all pods of a part."""
        return self.sentinels if part == SENTINEL else self.servers

    @property
    def group(self) -> Group:
        """The whole group, as its scripts know it."""
        return Group(nodes=self.servers, sentinels=self.sentinels)

    def certified(self, part: str) -> tuple[str, ...]:
        """Every name that is dialled: of pods and of the clients' Service, whole and as pods may shorten them."""
        pods = self.addresses(part)
        for_clients = (part == SENTINEL) == bool(self.settings.sentinels)
        dialled = (*pods, *((self.client_address,) if for_clients else ()))
        outside = self.place.exposure.names if self.place.exposure and part == SERVER else ()
        return tuple(dict.fromkeys((*(short for name in dialled for short in self._shortened(name)), *outside)))

    def _shortened(self, name: str) -> tuple[str, ...]:
        whole = f".svc.{self.place.cluster_domain}"
        service = name.removesuffix(whole)
        return (name, f"{service}.svc", service, service.removesuffix(f".{self.place.namespace}"))
