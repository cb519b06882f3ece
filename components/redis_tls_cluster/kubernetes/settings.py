"""Where pods of a group run, with what, and who reaches them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from components.firewall.settings import Network
from components.settings import HostName, Problem, Settings, Some, refuse

_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_QUANTITY: Final = re.compile(r"[1-9]\d*(\.\d+)?(m|k|[KMGTPE]i?)?")
_TAGGED: Final = re.compile(r"[a-z0-9][a-z0-9._/:-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?")
_FIRST_NODE_PORT: Final = 30_000
_LAST_NODE_PORT: Final = 32_767
_LEAST_WATCHERS: Final = 3

NodePort = Annotated[int, Field(ge=_FIRST_NODE_PORT, le=_LAST_NODE_PORT)]


def _dns_label(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise ValueError(f"{name!r} is no DNS label: use up to 63 lower-case letters, digits and '-'")
    return name


def _quantity(text: str) -> str:
    if not _QUANTITY.fullmatch(text):
        raise ValueError(f"{text!r} is no quantity: write a number with m, Mi or Gi, as in '250m' or '512Mi'")
    return text


def _image(name: str) -> str:
    if "@" in name or not _TAGGED.fullmatch(name):
        raise ValueError(f"{name!r} is no image: write REGISTRY/NAME:TAG, and what follows '@' as digest")
    return name


DnsLabel = Annotated[str, AfterValidator(_dns_label)]
Quantity = Annotated[str, AfterValidator(_quantity)]


class Exposure(StrEnum):
    """How clients outside the cluster reach servers."""

    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"


class AntiAffinity(StrEnum):
    """Whether two servers, or two Sentinels, may share a place."""

    PREFERRED = "preferred"
    REQUIRED = "required"


class ClientSettings(Settings):
    """Who may connect: pods, or addresses outside the cluster.

    Attributes:
        pods: Labels of the pods; `{}` is every pod of the namespace.
        namespace: Where the pods are; default the group's own namespace.
        network: Address or network instead.
    """

    pods: Mapping[str, str] | None = None
    namespace: DnsLabel | None = None
    network: Network | None = None

    @model_validator(mode="after")
    def _is_one(self) -> ClientSettings:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[Problem]:
        if (self.pods is None) == (self.network is None):
            yield ("pods",), "say who: pods by their labels, or network; one of the two"
        if self.namespace is not None and self.pods is None:
            yield ("namespace",), f"{self.namespace!r} says where pods are: give their labels as pods"


class ExposureSettings(Settings):
    """Services by which clients outside the cluster reach each server.

    Attributes:
        type: `NodePort` or `LoadBalancer`.
        names: DNS names and addresses that these clients dial; they go into the certificates.
        node_ports: Ports on the nodes, one a server in their order; default what Kubernetes chooses.
        annotations: Of the Services, for whoever makes load balancers.
    """

    type: Exposure
    names: Some[HostName]
    node_ports: tuple[NodePort, ...] = ()
    annotations: Mapping[str, str] = Field(default_factory=dict)


class ResourceSettings(Settings):
    """What a container asks for and may use at most.

    Attributes:
        cpu: Processors that it asks for, default `100m`.
        memory: Memory that it asks for, default `128Mi`.
        cpu_limit: Processors that it may use, default no limit.
        memory_limit: Memory with which it is ended, default no limit. A fork for a snapshot may need as much again.
    """

    cpu: Quantity = "100m"
    memory: Quantity = "128Mi"
    cpu_limit: Quantity | None = None
    memory_limit: Quantity | None = None


class StorageSettings(Settings):
    """Volumes.

    Attributes:
        size: Of a server's volume, default `1Gi`.
        sentinel_size: Of a Sentinel's volume, which holds a file of some kilobytes; default `64Mi`.
        storage_class: Their storage class; default the cluster's.
    """

    size: Quantity = "1Gi"
    sentinel_size: Quantity = "64Mi"
    storage_class: str | None = None


class KubernetesSettings(Settings):
    """A group on Kubernetes.

    Attributes:
        namespace: Where it runs; it has to be there, and may enforce the restricted profile.
        image: Image with the server, its client, and a shell with GNU coreutils, as Debian's have.
        digest: Its digest, `sha256:…`; default none: whatever the registry has under that tag.
        pull_secrets: Secrets with which nodes pull it, default none.
        user: Number of the account and of its group under which everything runs, default 999.
        servers: How many, default 1, and 3 with Sentinel.
        sentinels: How many watch, an odd number, default 3.
        clients: Who may connect; default nobody but the group itself.
        exposure: Services for clients outside the cluster; default none.
        resources: Of servers.
        sentinel_resources: Of Sentinels.
        storage: Volumes.
        anti_affinity: Whether two servers, or two Sentinels, share a node if need be (`preferred`, default) or never
            (`required`).
        topology_key: What they do not share, default `kubernetes.io/hostname`.
        cluster_domain: Domain of the cluster's names, default `cluster.local`.
    """

    namespace: DnsLabel
    image: Annotated[str, AfterValidator(_image)]
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    pull_secrets: tuple[DnsLabel, ...] = ()
    user: int = Field(default=999, ge=1, le=2**31 - 1)
    servers: int | None = Field(default=None, ge=1, le=100)
    sentinels: int | None = Field(default=None, ge=_LEAST_WATCHERS, le=99)
    clients: tuple[ClientSettings, ...] = ()
    exposure: ExposureSettings | None = None
    resources: ResourceSettings = ResourceSettings()
    sentinel_resources: ResourceSettings = ResourceSettings(cpu="50m", memory="32Mi")
    storage: StorageSettings = StorageSettings()
    anti_affinity: AntiAffinity = AntiAffinity.PREFERRED
    topology_key: str = "kubernetes.io/hostname"
    cluster_domain: HostName = "cluster.local"

    @property
    def reference(self) -> str:
        """The image with its digest."""
        return f"{self.image}@{self.digest}" if self.digest else self.image

    @model_validator(mode="after")
    def _fits_together(self) -> KubernetesSettings:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[Problem]:
        if self.sentinels is not None and self.sentinels % 2 == 0:
            text = f"{self.sentinels} outlive no more losses than {self.sentinels - 1}: use an odd number"
            yield ("sentinels",), text
        ports = self.exposure.node_ports if self.exposure else ()
        for at, port in enumerate(ports):
            if port in ports[:at]:
                yield ("exposure", "nodePorts", at), f"{port} is listed twice: use another one"
