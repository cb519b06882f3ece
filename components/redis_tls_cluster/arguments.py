"""What a group of Redis or Valkey servers needs, and what that asks of its hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi

from components.certificates import Authority
from components.errors import ConfigurationError
from components.firewall import Flow
from components.firewall.settings import ANY
from components.haproxy_load_balancer import Backend
from components.host import Host, debian_host
from components.kubernetes_cluster import KubernetesCluster
from components.names import is_address
from components.redis_tls_cluster import balancing
from components.redis_tls_cluster.kubernetes.names import SERVER, Names
from components.redis_tls_cluster.settings import RedisTlsSettings, Topology


@dataclass(frozen=True, kw_only=True)
class RedisTlsClusterArgs:
    """What a group needs.

    Attributes:
        settings: Nodes, topology, TLS, users and limits.
        hosts: Hosts by their name in the stack; a group on Kubernetes needs none.
        authority: Who signs the certificates of nodes and clients.
        where: Property path of the settings, for errors; default none.
        after: What has to be there before any node changes: firewalls that let new members reach the others.
        cluster: The cluster of a group on Kubernetes; default the one that kubectl would take.
    """

    settings: RedisTlsSettings
    hosts: Mapping[str, Host] = field(default_factory=dict)
    authority: Authority
    where: str = ""
    after: Sequence[pulumi.Resource] = ()
    cluster: KubernetesCluster | None = None

    def __post_init__(self) -> None:
        """Refuse hosts that are not there, or that this cannot run on.

        Raises:
            ConfigurationError: With the property path, the value and the fix.
        """
        for path, name in self._named_hosts():
            debian_host(self.hosts, name, path)
        for at, node in enumerate(self.settings.nodes):
            dialled = self.hosts[node.host].dialled
            if node.address is None and isinstance(dialled, str) and not is_address(dialled):
                raise ConfigurationError(
                    self._path(f"nodes[{at}].address"),
                    dialled,
                    "a server binds addresses, not names: give nodes[].address",
                )

    def _named_hosts(self) -> Iterator[tuple[str, str]]:
        yield from ((self._path(f"nodes[{at}].host"), node.host) for at, node in enumerate(self.settings.nodes))
        yield from ((self._path(f"sentinel.hosts[{at}]"), name) for at, name in enumerate(self.settings.sentinel.hosts))

    def _path(self, path: str) -> str:
        return f"{self.where}.{path}" if self.where else path

    @property
    def names(self) -> list[pulumi.Input[str]]:
        """Names and addresses by which clients know a server: its certificate has them."""
        if self.settings.kubernetes:
            return list(Names(self.settings).certified(SERVER))
        return [name for node in self.settings.nodes for name in (self.address(node.host), *node.names)]

    def address(self, host: str) -> pulumi.Input[str]:
        """Return the address that a member of the group on this host binds."""
        node = next((each for each in self.settings.nodes if each.host == host), None)
        return str(node.address) if node and node.address else self.hosts[host].dialled

    def primary_backend(self, *, user: str, password: str) -> Backend:
        """Return a backend of HAProxy that leads to the group's primary, and follows it.

        Args:
            user: Account with which health checks log in; `+ping` and `+info` are all that it needs.
            password: Variable of its password, as in a backend's `healthCheck`.

        Raises:
            ConfigurationError: Where the group has no primary that moves, no such account, or no addresses yet.
        """
        addresses = [self.address(node.host) for node in self.settings.nodes]
        return balancing.primary_backend(self.settings, addresses, user=user, password=password, path=self._path)

    def flows(self, host: str) -> list[Flow]:
        """Return what a member of the group on this host needs of its firewall."""
        settings = self.settings
        members = [self.hosts[each].source_addresses for each in sorted(self.members) if each != host]
        everybody = ANY if settings.clients is None else [*settings.clients, *members]
        flows = []
        if any(node.host == host for node in settings.nodes):
            flows.append(Flow(port=settings.tls_port, sources=everybody, purpose=f"{settings.name}: TLS"))
            if settings.plaintext_port:
                clients = ANY if settings.clients is None else settings.clients
                flows.append(Flow(port=settings.plaintext_port, sources=clients, purpose=f"{settings.name}: plaintext"))
            if settings.topology is Topology.CLUSTER:
                flows.append(Flow(port=settings.bus_port, sources=members, purpose=f"{settings.name}: cluster bus"))
        if host in settings.sentinel_hosts:
            flows.append(Flow(port=settings.sentinel.port, sources=everybody, purpose=f"{settings.name}: Sentinel"))
        return flows

    @property
    def members(self) -> tuple[str, ...]:
        """Hosts in the order in which they have their turn: what may be a primary's comes last."""
        if not self.settings.nodes:
            return ()
        first, *others = (node.host for node in self.settings.nodes)
        watchers = (host for host in self.settings.sentinel_hosts if host not in (first, *others))
        return (*watchers, *others, first)
