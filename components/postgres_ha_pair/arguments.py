"""What a pair needs, and what that asks of its hosts."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.certificates import Authority
from components.errors import ConfigurationError
from components.firewall import Flow
from components.host import Host, debian_host
from components.inputs import combined
from components.keepalived_vip import KeepalivedVipArgs
from components.names import is_address
from components.postgres_ha_pair import claims, virtual_ip
from components.postgres_ha_pair.parameters import refused
from components.postgres_ha_pair.rendering import Group, Place
from components.postgres_ha_pair.settings import PostgresHaSettings, WitnessSettings
from components.settings import InvalidConfigurationError, ServerNode, property_path


@dataclass(frozen=True, kw_only=True)
class PostgresHaPairArgs:
    """What a pair needs.

    Attributes:
        settings: Nodes, witness, databases and limits.
        hosts: Hosts by their name in the stack.
        authority: Who signs the certificates of members and clients.
        where: Property path of the settings, for errors; default none.
        after: What has to be there before any host changes: firewalls that let the members reach each other.
    """

    settings: PostgresHaSettings
    hosts: Mapping[str, Host]
    authority: Authority
    where: str = ""
    after: Sequence[pulumi.Resource] = ()

    def __post_init__(self) -> None:
        """Refuse hosts that cannot be had, or that this cannot run on, and parameters that are not free.

        Raises:
            ConfigurationError: With the property path, the value and the fix.
            InvalidConfigurationError: The same of everything that is wrong with the virtual IP.
        """
        for path, member in self._members():
            host = debian_host(self.hosts, member.host, self._path(f"{path}.host"))
            if member.address is None and isinstance(host.dialled, str) and not is_address(host.dialled):
                fix = f"a server binds addresses, not names: give {path}.address"
                raise ConfigurationError(self._path(f"{path}.address"), host.dialled, fix)
        for name, fix in refused(self.settings):
            raise ConfigurationError(self._path("parameters"), name, fix)
        if self.settings.virtual_ip:
            given = {host: self.address(host) for host in self.data_hosts}
            known = {host: ipaddress.ip_address(text) for host, text in given.items() if isinstance(text, str)}
            if found := list(virtual_ip.problems(self.settings, self.settings.virtual_ip, known)):
                lines = [f"{property_path(self.where, where).lstrip('.')}: {text}" for where, text in found]
                raise InvalidConfigurationError(lines)
        members = [(self._path(f"{path}.host"), member.host) for path, member in self._members()]
        claims.claim(self.settings, self.hosts, members)

    def _members(self) -> Iterator[tuple[str, ServerNode | WitnessSettings]]:
        yield from ((f"nodes[{at}]", node) for at, node in enumerate(self.settings.nodes))
        yield "witness", self.witness

    def _path(self, path: str) -> str:
        return f"{self.where}.{path}" if self.where else path

    @property
    def witness(self) -> WitnessSettings:
        """The third vote, without which there are no settings.

        Raises:
            ConfigurationError: Never with settings that were validated.
        """
        if self.settings.witness is None:
            raise ConfigurationError(self._path("witness"), None, "name a host")
        return self.settings.witness

    @property
    def data_hosts(self) -> tuple[str, ...]:
        """Hosts of the two servers, the first primary first."""
        return tuple(node.host for node in self.settings.nodes)

    @property
    def members(self) -> tuple[str, ...]:
        """All hosts, in the order in which they have their turn."""
        first, second = self.data_hosts
        return (self.witness.host, second, first)

    def address(self, host: str) -> pulumi.Input[str]:
        """Return the address that is bound on a host, and that others dial."""
        member = next(each for _, each in self._members() if each.host == host)
        return str(member.address) if member.address else self.hosts[host].dialled

    def group(self) -> pulumi.Input[Group]:
        """Return all hosts with their addresses, once these are known."""
        names = [*self.data_hosts, self.witness.host]

        def known(*addresses: str) -> Group:
            places = [Place(name=name, address=address) for name, address in zip(names, addresses, strict=True)]
            return Group(nodes=tuple(places[:-1]), witness=places[-1])

        return combined(known, *map(self.address, names))

    @property
    def virtual_ip(self) -> KeepalivedVipArgs | None:
        """What moves the virtual IP, if there is one."""
        settings = self.settings
        if settings.virtual_ip is None:
            return None
        told = virtual_ip.keepalived(settings, settings.virtual_ip)
        return KeepalivedVipArgs(settings=told, hosts=self.hosts, where=self.where, locate=virtual_ip.in_pair)

    def sources(self) -> pulumi.Input[list[str]]:
        """Return addresses and networks from which the two servers come."""
        known = map(self._sources, self.data_hosts)
        return combined(lambda *lists: sorted({each for one in lists for each in one}), *known)

    def _sources(self, host: str) -> pulumi.Input[list[str]]:
        """Where a host comes from: an address of the pair's own is one of its own, too."""
        own = next(each.address for _, each in self._members() if each.host == host)
        more = [str(own)] if own else []
        return combined(lambda known: sorted({*known, *more}), self.hosts[host].source_addresses)

    def flows(self, host: str) -> list[Flow]:
        """Return what the pair on this host needs of its firewall."""
        settings = self.settings
        peers = {name: self._sources(name) for name in self.members if name != host}
        nodes = [source for name, source in peers.items() if name in self.data_hosts]
        flows = [
            Flow(port=settings.etcd.client_port, sources=list(peers.values()), purpose=f"{settings.name}: etcd"),
            Flow(
                port=settings.etcd.peer_port, sources=list(peers.values()), purpose=f"{settings.name}: etcd's members"
            ),
        ]
        if host in self.data_hosts:
            clients = dict.fromkeys(client for database in settings.databases for client in database.clients)
            rest = [*settings.rest_clients, *nodes]
            flows.append(
                Flow(port=settings.connections.port, sources=[*clients, *nodes], purpose=f"{settings.name}: TLS")
            )
            flows.append(Flow(port=settings.rest_port, sources=rest, purpose=f"{settings.name}: Patroni"))
            flows += self.virtual_ip.flows(host) if self.virtual_ip else []
        if settings.backup:
            # The servers send their WAL, and the witness comes for backups.
            others = nodes if host == self.witness.host else [peers[self.witness.host]]
            flows.append(Flow(port=settings.backup.port, sources=others, purpose=f"{settings.name}: backups"))
        return flows
