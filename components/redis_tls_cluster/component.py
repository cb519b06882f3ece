"""Redis or Valkey under TLS as a resource."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import pulumi

from components.certificates import Authority, Certificate, CertificateArgs, Usage
from components.errors import ConfigurationError
from components.firewall import Flow
from components.firewall.settings import ANY
from components.host import Check, Directory, Family, File, Host, Role, RoleSpec, Unit, Validation
from components.inputs import combined, secret
from components.names import bracketed, is_address
from components.passwords import Passwords
from components.redis_tls_cluster import inspection, rendering
from components.redis_tls_cluster.rendering import Group, digest, library, place
from components.redis_tls_cluster.settings import (
    MANAGER,
    REPLICATION,
    SENTINEL,
    NodeSettings,
    RedisTlsSettings,
    Topology,
)

_UNITS: Final = "/etc/systemd/system"
_INTERNAL: Final = (MANAGER, REPLICATION, SENTINEL)
_CLIENT: Final = "client"
# There on every host, or with the package.
_EVERYWHERE: Final = frozenset(
    ("/etc", "/etc/redis", "/etc/valkey", "/opt", "/srv", "/usr", "/usr/local", "/usr/local/lib", "/var", "/var/lib")
)


@dataclass(frozen=True, kw_only=True)
class RedisTlsClusterArgs:
    """What a group needs.

    Attributes:
        settings: Nodes, topology, TLS, users and limits.
        hosts: Hosts by their name in the stack.
        authority: Who signs the certificates of nodes and clients.
        where: Property path of the settings, for errors; default none.
        after: What has to be there before any node changes: firewalls that let new members reach the others.
    """

    settings: RedisTlsSettings
    hosts: Mapping[str, Host]
    authority: Authority
    where: str = ""
    after: Sequence[pulumi.Resource] = ()

    def __post_init__(self) -> None:
        """Refuse hosts that are not there, or that this cannot run on.

        Raises:
            ConfigurationError: With the property path, the value and the fix.
        """
        known = ", ".join(sorted(self.hosts)) or "none"
        for path, name in self._named_hosts():
            if name not in self.hosts:
                raise ConfigurationError(path, name, f"name a host of the stack: {known}")
            if self.hosts[name].args.family is not Family.DEBIAN:
                raise ConfigurationError(path, name, "use a host of the family debian: the others were never tried")
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

    def address(self, host: str) -> pulumi.Input[str]:
        """Return the address that a member of the group on this host binds."""
        node = next((each for each in self.settings.nodes if each.host == host), None)
        return str(node.address) if node and node.address else self.hosts[host].dialled

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
        first, *others = (node.host for node in self.settings.nodes)
        watchers = (host for host in self.settings.sentinel_hosts if host not in (first, *others))
        return (*watchers, *others, first)


@dataclass(frozen=True, kw_only=True)
class _Shared:
    """What all members of a group share.

    Attributes:
        client: Certificate of its clients.
        current: The password in use by account.
        accepted: Every password that is let in by account.
    """

    client: Certificate
    current: Mapping[str, pulumi.Input[str]]
    accepted: Mapping[str, Sequence[pulumi.Input[str]]]

    @staticmethod
    def of(settings: RedisTlsSettings, generated: Passwords, client: Certificate) -> _Shared:
        """Take what is configured, and the generated ones for the rest."""
        current: dict[str, pulumi.Input[str]] = {name: generated.current(name) for name in _INTERNAL}
        accepted: dict[str, Sequence[pulumi.Input[str]]] = {name: generated.accepted(name) for name in _INTERNAL}
        for user in settings.users:
            if user.password is None:
                current[user.name], accepted[user.name] = generated.current(user.name), generated.accepted(user.name)
            else:
                given = [secret(each.get_secret_value()) for each in (user.password, *user.also_accepted)]
                current[user.name], accepted[user.name] = given[0], given
        return _Shared(client=client, current=current, accepted=accepted)


class RedisTlsCluster(pulumi.ComponentResource):
    """Redis or Valkey with TLS on every link: standalone, replicated under Sentinel, or a cluster.

    A change that the servers can take while they serve cuts no connection; one that needs a restart is rolled from
    host to host, and a primary hands over before it stops.

    Attributes:
        endpoints: `address:port` of every node.
        urls: The same as `rediss://` URLs, without passwords.
        sentinels: `address:port` of every Sentinel.
        master_name: What Sentinels call the primary; None without.
        authority: Certificates that clients trust, in PEM.
        client_certificate: The clients' certificate in PEM.
        client_key: Its key in PEM (secret).
        passwords: Passwords of the applications' accounts by name (secret).
        flows: What it needs of each host's firewall, by host.
    """

    endpoints: pulumi.Output[list[str]]
    urls: pulumi.Output[list[str]]
    sentinels: pulumi.Output[list[str]]
    master_name: str | None
    authority: pulumi.Output[str]
    client_certificate: pulumi.Output[str]
    client_key: pulumi.Output[str]
    passwords: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, args: RedisTlsClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = args.settings
        hidden = {"users": {"__all__": {"password", "also_accepted"}}}
        inputs = {
            "settings": settings.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=hidden),
            "hosts": sorted(set(args.members)),
        }
        super().__init__("sealed-data-tier:redis_tls_cluster:RedisTlsCluster", name, inputs, opts)
        here = pulumi.ResourceOptions(parent=self)
        client = Certificate(
            f"{name}-client",
            CertificateArgs(
                authority=args.authority,
                common_name=f"{settings.name} {_CLIENT}",
                usage=Usage.CLIENT,
                settings=settings.certificates,
            ),
            here,
        )
        shared = _Shared.of(settings, Passwords(f"{name}-passwords", settings.passwords, here), client)
        members = [_Member(name, args, host, shared, here) for host in args.members]
        self.flows = {host: args.flows(host) for host in args.members}
        self.roles: list[Role] = []
        for member in members:
            turn = pulumi.ResourceOptions(parent=self, depends_on=[*args.after, *self.roles[-1:]])
            self.roles.append(Role(f"{name}-{member.host.host_name}-node", member.host, member.spec(), turn))
        if settings.topology is not Topology.STANDALONE:
            self._settle(name, args, members)

        addresses = [args.address(node.host) for node in settings.nodes]
        watchers = [args.address(host) for host in settings.sentinel_hosts]
        self.endpoints = _endpoints(addresses, settings.tls_port)
        self.urls = self.endpoints.apply(lambda known: [f"rediss://{each}" for each in known])
        self.sentinels = _endpoints(watchers, settings.sentinel.port)
        self.master_name = settings.name if settings.topology is Topology.SENTINEL else None
        self.authority = args.authority.trusted
        self.client_certificate, self.client_key = client.certificate, client.private_key
        accounts = [user.name for user in settings.users]
        self.passwords = pulumi.Output.all(**{account: shared.current[account] for account in accounts})
        self.outputs = {
            "endpoints": self.endpoints,
            "urls": self.urls,
            "sentinels": self.sentinels,
            "masterName": self.master_name,
            "authority": self.authority,
            "clientCertificate": self.client_certificate,
            "clientKey": self.client_key,
            "passwords": self.passwords,
        }
        self.register_outputs({**self.outputs, "served": list(chain.from_iterable(each.served() for each in members))})

    def _settle(self, name: str, args: RedisTlsClusterArgs, members: Sequence[_Member]) -> None:
        """Once everybody had its turn the group is brought together, and left by who is no longer in it."""
        first = args.hosts[args.settings.nodes[0].host]
        what = combined(digest, *(file.content for member in members for file in member.files))
        self.group = first.command(
            f"{name}-group",
            first.as_root(f"{library(args.settings)}/group settle"),
            stdin=first.with_sudo_password(combined("{}\n".format, what)),
            parent=self,
            depends_on=list(self.roles),
        )


def _endpoints(addresses: Sequence[pulumi.Input[str]], port: int) -> pulumi.Output[list[str]]:
    return pulumi.Output.all(*addresses).apply(lambda known: [f"{bracketed(each)}:{port}" for each in known])


class _Member:
    """What one host of a group has: a server, a Sentinel or both."""

    def __init__(
        self, name: str, args: RedisTlsClusterArgs, host: str, shared: _Shared, opts: pulumi.ResourceOptions
    ) -> None:
        self.args, self.settings, self.host = args, args.settings, args.hosts[host]
        self.node: NodeSettings | None = next((each for each in args.settings.nodes if each.host == host), None)
        self.watches = host in args.settings.sentinel_hosts
        self.address = args.address(host)
        self.shared = shared
        names = dict.fromkeys([self.address, *(self.node.names if self.node else ())])
        self.names = tuple(names)
        self.certificate = Certificate(
            f"{name}-{host}",
            CertificateArgs(
                authority=args.authority,
                common_name=f"{self.settings.name} {host}",
                names=self.names,
                settings=self.settings.certificates,
            ),
            opts,
        )
        self.files = tuple(self._files())

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port on which something listens."""
        settings = self.settings
        server = (
            settings.tls_port,
            settings.plaintext_port,
            settings.bus_port * (settings.topology is Topology.CLUSTER),
        )
        watch = (settings.sentinel.port,) if self.watches else ()
        return tuple(port for port in (*(server if self.node else ()), *watch) if port)

    def served(self) -> Iterator[dict[str, Any]]:
        """Certificates that are seen from outside, for whoever verifies them."""
        for port in set(self.ports) - {self.settings.plaintext_port}:
            yield {
                "host": self.host.host_name,
                "address": self.address,
                "port": port,
                "certificate": self.certificate.certificate,
                "trusted": self.args.authority.trusted,
                "renewalDays": self.settings.certificates.renewal_days,
                "names": list(self.names),
            }

    def _rendered(self, render: Any, *more: Any) -> pulumi.Input[str]:  # noqa: ANN401 - a function of rendering.py
        """Render what needs this member's address and those of the group."""
        nodes = [self.args.address(node.host) for node in self.settings.nodes]
        watchers = [self.args.address(host) for host in self.settings.sentinel_hosts]

        def with_addresses(address: str, *others: str) -> str:
            group = Group(nodes=others[: len(nodes)], sentinels=others[len(nodes) :])
            return str(render(self.settings, address, *(more or (group,))))

        return combined(with_addresses, self.address, *nodes, *watchers)

    def _accounts(self, render: Any) -> pulumi.Input[str]:  # noqa: ANN401 - a function of rendering.py
        accepted = self.shared.accepted
        names = [name for name in accepted for _ in accepted[name]]

        def with_passwords(*passwords: str) -> str:
            known: dict[str, list[str]] = {}
            for name, password in zip(names, passwords, strict=True):
                known.setdefault(name, []).append(password)
            return str(render(self.settings, known))

        return combined(with_passwords, *(each for name in accepted for each in accepted[name]))

    def _files(self) -> Iterator[File]:
        settings, here, scripts = self.settings, place(self.settings), library(self.settings)
        service = settings.flavour.value
        current = self.shared.current
        yield File(path=f"{scripts}/client.sh", content=rendering.script("client"))
        yield File(path=f"{scripts}/node", content=rendering.script("node"), mode=0o755)
        yield File(path=f"{scripts}/node.env", content=self._rendered(rendering.environment))
        yield File(path=f"{here}/manager.password", content=_line(current[MANAGER]), mode=0o600, secret=True)
        yield from self._certificates(service)
        if self.node:
            password = combined(rendering.replication_password, current[REPLICATION])
            accounts = self._accounts(rendering.users)
            yield File(path=rendering.sysctl_path(settings), content=rendering.sysctl())
            yield File(path=f"{here}/startup.conf", content=rendering.startup(settings))
            yield File(path=f"{here}/passwords.conf", content=password, mode=0o640, group=service, secret=True)
            yield File(path=f"{here}/users.acl", content=accounts, mode=0o640, group=service, secret=True)
            yield File(path=f"{here}/{service}.conf", content=self._configuration())
            yield File(path=_drop_in(f"{service}-server"), content=rendering.unit(settings))
        if self.watches:
            password = combined(lambda known: rendering.sentinel_passwords(settings, known), current[SENTINEL])
            accounts = self._accounts(rendering.sentinel_users)
            yield File(path=f"{here}/sentinel.conf", content=self._rendered(rendering.sentinel))
            yield File(path=f"{here}/sentinel.passwords", content=password, mode=0o600, secret=True)
            yield File(path=f"{here}/sentinel-users.acl", content=accounts, mode=0o640, group=service, secret=True)
            yield File(path=_drop_in(f"{service}-sentinel"), content=rendering.sentinel_unit(settings))
        if self.node is self.settings.nodes[0] and settings.topology is not Topology.STANDALONE:
            yield File(path=f"{scripts}/group", content=rendering.script("group"), mode=0o755)

    def _configuration(self) -> pulumi.Input[str]:
        return combined(lambda address: rendering.configuration(self.settings, address), self.address)

    def _certificates(self, service: str) -> Iterator[File]:
        server, client = f"{self.settings.tls_directory}/server", f"{self.settings.tls_directory}/client"
        own, key = self.certificate.certificate, self.certificate.private_key
        yield File(path=f"{server}/root.crt", content=self.args.authority.trusted)
        yield File(path=f"{server}/server.crt", content=own)
        yield File(path=f"{server}/server.key", content=key, mode=0o600, owner=service, group=service, secret=True)
        yield File(path=f"{client}/root.crt", content=self.args.authority.trusted)
        yield File(path=f"{client}/client.crt", content=self.shared.client.certificate)
        yield File(path=f"{client}/client.key", content=self.shared.client.private_key, mode=0o600, secret=True)

    def spec(self) -> RoleSpec:
        """Say what it puts on its host."""
        settings = self.settings
        service = settings.flavour.value
        tls = settings.tls_directory
        packages = [f"{service}-server"] * bool(self.node) + [f"{service}-sentinel"] * self.watches
        drop_ins = [f"{_UNITS}/{package}.service.d" for package in packages]
        return RoleSpec(
            name=service,
            packages=(*packages, f"{service}-tools", "iproute2", "procps"),
            directories=(
                *_with_parents(library(settings)),
                *_with_parents(tls),
                *(Directory(path=f"{tls}/{each}") for each in ("server", "client")),
                *_with_parents(settings.data)[:-1],
                Directory(path=settings.data, mode=0o700, owner=service, group=service, discard=settings.remove_data),
                Directory(path=rendering.applied(settings), mode=0o700, discard=True),
                *(Directory(path=path) for path in drop_ins),
            ),
            files=self.files,
            units=tuple(self._units(service)),
            validations=tuple(self._validations()),
            checks=tuple(self._checks()),
        )

    def _units(self, service: str) -> Iterator[Unit]:
        here, server = place(self.settings), f"{self.settings.tls_directory}/server"
        certificates = tuple(f"{server}/{name}" for name in ("root.crt", "server.crt", "server.key"))
        if self.node:
            yield Unit(
                name=f"{service}-server.service",
                reload_on=(
                    *(
                        f"{here}/{name}"
                        for name in (f"{service}.conf", "users.acl", "passwords.conf", "manager.password")
                    ),
                    *certificates,
                ),
                restart_on=(f"{here}/startup.conf", _drop_in(f"{service}-server")),
            )
        if self.watches:
            yield Unit(
                name=f"{service}-sentinel.service",
                restart_on=(
                    *(f"{here}/{name}" for name in ("sentinel.conf", "sentinel.passwords", "sentinel-users.acl")),
                    _drop_in(f"{service}-sentinel"),
                    *certificates,
                ),
            )

    def _validations(self) -> Iterator[Validation]:
        settings = self.settings
        if self.node:
            yield Validation(name="address and ports", command=inspection.can_bind(settings, self.ports))
            if settings.topology is not Topology.STANDALONE:
                yield Validation(name="same port", command=inspection.same_port(settings))
            yield Validation(name="no other data", command=inspection.no_other_data(settings))
            yield Validation(name="trial start", command=inspection.starts(settings))

    def _checks(self) -> Iterator[Check]:
        settings, limit = self.settings, self.settings.settle_seconds
        if self.node:
            yield Check(name="serves, and is in sync", command=inspection.settled(settings), timeout=limit)
            yield Check(name="runs what was written", command=inspection.applied(settings))


def _line(text: pulumi.Input[str]) -> pulumi.Input[str]:
    return combined("{}\n".format, text)


def _drop_in(service: str) -> str:
    return f"{_UNITS}/{service}.service.d/sealed-data-tier.conf"


def _with_parents(path: str) -> list[Directory]:
    """A directory with those above it, but for those that every host has."""
    steps = path.split("/")[1:]
    paths = ("/" + "/".join(steps[:depth]) for depth in range(1, len(steps) + 1))
    return [Directory(path=each) for each in paths if each not in _EVERYWHERE]
