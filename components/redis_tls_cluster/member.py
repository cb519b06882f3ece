"""What one host of a group has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pulumi

from components.certificates import Certificate, CertificateArgs
from components.host import Check, Directory, File, RoleSpec, Unit, Validation, with_parents
from components.inputs import combined, secret
from components.passwords import Passwords
from components.redis_tls_cluster import inspection, rendering
from components.redis_tls_cluster.arguments import RedisTlsClusterArgs
from components.redis_tls_cluster.rendering import Group, library, place
from components.redis_tls_cluster.settings import (
    MANAGER,
    REPLICATION,
    SENTINEL,
    RedisTlsSettings,
    Topology,
)
from components.settings import ServerNode

_UNITS: Final = "/etc/systemd/system"
_INTERNAL: Final = (MANAGER, REPLICATION, SENTINEL)
_WITH_PACKAGES: Final = ("/etc/redis", "/etc/valkey")


@dataclass(frozen=True, kw_only=True)
class Shared:
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
    def of(settings: RedisTlsSettings, generated: Passwords, client: Certificate) -> Shared:
        """Take what is configured, and the generated ones for the rest."""
        current: dict[str, pulumi.Input[str]] = {name: generated.current(name) for name in _INTERNAL}
        accepted: dict[str, Sequence[pulumi.Input[str]]] = {name: generated.accepted(name) for name in _INTERNAL}
        for user in settings.users:
            if user.password is None:
                current[user.name], accepted[user.name] = generated.current(user.name), generated.accepted(user.name)
            else:
                given = [secret(each.get_secret_value()) for each in (user.password, *user.also_accepted)]
                current[user.name], accepted[user.name] = given[0], given
        return Shared(client=client, current=current, accepted=accepted)

    def accounts(self, render: Callable[[Mapping[str, Sequence[str]]], str]) -> pulumi.Input[str]:
        """Render what is made of every password that is let in, by account."""
        names = [name for name in self.accepted for _ in self.accepted[name]]

        def with_passwords(*passwords: str) -> str:
            known: dict[str, list[str]] = {}
            for name, password in zip(names, passwords, strict=True):
                known.setdefault(name, []).append(password)
            return render(known)

        return combined(with_passwords, *(each for name in self.accepted for each in self.accepted[name]))


class Member:
    """What one host of a group has: a server, a Sentinel or both."""

    def __init__(
        self, name: str, args: RedisTlsClusterArgs, host: str, shared: Shared, opts: pulumi.ResourceOptions
    ) -> None:
        self.args, self.settings, self.host = args, args.settings, args.hosts[host]
        self.node: ServerNode | None = next((each for each in args.settings.nodes if each.host == host), None)
        self.watches = host in args.settings.sentinel_hosts
        self.address = args.address(host)
        self.shared = shared
        names = dict.fromkeys([self.address, *(self.node.names if self.node else ())])
        self.names = tuple(names)
        self.certificate = Certificate(
            f"{name}-{host}",
            CertificateArgs(
                authority=args.authority,
                common_name=self.settings.common_name(host),
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

    def _rendered(self, render: Any) -> pulumi.Input[str]:  # noqa: ANN401 - a function of rendering.py
        """Render what needs this member's address and those of the group."""
        nodes = [self.args.address(node.host) for node in self.settings.nodes]
        watchers = [self.args.address(host) for host in self.settings.sentinel_hosts]

        def with_addresses(address: str, *others: str) -> str:
            group = Group(nodes=others[: len(nodes)], sentinels=others[len(nodes) :])
            return str(render(self.settings, address, group))

        return combined(with_addresses, self.address, *nodes, *watchers)

    def _files(self) -> Iterator[File]:
        settings, here, scripts = self.settings, place(self.settings), library(self.settings)
        service = settings.flavour.value
        current = self.shared.current
        yield File(path=f"{scripts}/client.sh", content=rendering.script("client"))
        yield File(path=f"{scripts}/node", content=rendering.script("node"), mode=0o755)
        yield File(path=f"{scripts}/node.env", content=self._rendered(rendering.environment))
        yield File(path=f"{here}/manager.password", content=line(current[MANAGER]), mode=0o600, secret=True)
        yield from self._certificates(service)
        if self.node:
            password = combined(rendering.replication_password, current[REPLICATION])
            accounts = self.shared.accounts(partial(rendering.users, settings))
            yield File(path=rendering.sysctl_path(settings), content=rendering.sysctl())
            yield File(path=f"{here}/startup.conf", content=rendering.startup(settings))
            yield File(path=f"{here}/passwords.conf", content=password, mode=0o640, group=service, secret=True)
            yield File(path=f"{here}/users.acl", content=accounts, mode=0o640, group=service, secret=True)
            yield File(path=f"{here}/{service}.conf", content=self._configuration())
            yield File(path=_drop_in(f"{service}-server"), content=rendering.unit(settings))
        if self.watches:
            password = combined(lambda known: rendering.sentinel_passwords(settings, known), current[SENTINEL])
            accounts = self.shared.accounts(partial(rendering.sentinel_users, settings))
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
                *with_parents(library(settings)),
                *with_parents(tls, *_WITH_PACKAGES),
                *(Directory(path=f"{tls}/{each}") for each in ("server", "client")),
                *with_parents(settings.data)[:-1],
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
        yield Validation(name="address and ports", command=inspection.can_bind(settings, self.ports))
        if self.node:
            if settings.topology is not Topology.STANDALONE:
                yield Validation(name="same port", command=inspection.same_port(settings))
            yield Validation(name="no other data", command=inspection.no_other_data(settings))
            yield Validation(name="trial start", command=inspection.starts(settings))

    def _checks(self) -> Iterator[Check]:
        settings, limit = self.settings, self.settings.settle_seconds
        if self.node:
            yield Check(name="serves, and is in sync", command=inspection.settled(settings), timeout=limit)
            yield Check(name="runs what was written", command=inspection.applied(settings))


def line(text: pulumi.Input[str]) -> pulumi.Input[str]:
    """End a text as a line."""
    return combined("{}\n".format, text)


def _drop_in(service: str) -> str:
    return f"{_UNITS}/{service}.service.d/sealed-data-tier.conf"
