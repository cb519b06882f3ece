"""Two PostgreSQL servers and a witness as a resource."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Final

import pulumi

from components.certificates import Certificate, CertificateArgs, Usage
from components.host import Host, Role, RoleSpec
from components.inputs import combined, secret
from components.keepalived_vip import KeepalivedVip
from components.names import bracketed
from components.passwords import Passwords
from components.postgres_ha_pair import rendering
from components.postgres_ha_pair.arguments import PostgresHaPairArgs
from components.postgres_ha_pair.member import Member, Shared
from components.postgres_ha_pair.rendering import COMMAND, ETCD_LIBRARY, IS_LEADER
from components.postgres_ha_pair.repository import repository_spec
from components.postgres_ha_pair.settings import PATRONI, DatabaseSettings, PostgresHaSettings, login

# Who administers etcd is known by the name in its certificate.
_ADMINISTRATOR: Final = "root"


class PostgresHaPair(pulumi.ComponentResource):
    """Two PostgreSQL servers, of which the standby takes over by itself, and a witness.

    Who leads is decided by Patroni, over an etcd of three members. Commits wait for the standby. Everything is TLS with
    certificates of the authority; certificates and passwords change without a restart. A virtual IP follows the leader.

    Attributes:
        endpoints: `address:port` of both servers.
        virtual_addresses: Virtual IPs that the leader holds.
        dsns: Connection URL by database, without password: through the virtual IP, or else by both servers, of which it
            finds the primary by itself.
        users: Role that an application logs in with now, by the role that owns its database.
        passwords: Passwords of these (secret), by the same.
        authority: Certificates that clients trust, in PEM.
        client_certificate: The applications' certificate in PEM.
        client_key: Its key in PEM (secret).
        leader_check: Command on both servers that exits with 0 on the leader only.
        flows: What it needs of each host's firewall, by host.
    """

    endpoints: pulumi.Output[list[str]]
    virtual_addresses: list[str]
    dsns: pulumi.Output[dict[str, str]]
    users: dict[str, str]
    passwords: pulumi.Output[dict[str, str]]
    authority: pulumi.Output[str]
    client_certificate: pulumi.Output[str]
    client_key: pulumi.Output[str]
    leader_check: str = IS_LEADER

    def __init__(self, name: str, args: PostgresHaPairArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = args.settings
        hidden: dict[str, Any] = {
            "databases": {"__all__": {"password"}},
            "backup": {"cipher_pass": True, "s3": {"key": True, "key_secret": True}},
        }
        inputs = {
            "settings": settings.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=hidden),
            "hosts": sorted(args.members),
        }
        super().__init__("sealed-data-tier:postgres_ha_pair:PostgresHaPair", name, inputs, opts)
        here = pulumi.ResourceOptions(parent=self)
        shared = Shared.of(
            settings,
            Passwords(f"{name}-passwords", settings.passwords, here),
            administrator=self._client(f"{name}-administrator", args, _ADMINISTRATOR),
            # etcd's gateway, by which Patroni comes, refuses certificates with a common name once it asks for
            # passwords (etcd, server/embed/serve.go).
            patroni=self._client(f"{name}-patroni", args, ""),
            client=self._client(f"{name}-client", args, f"{settings.name} client"),
        )
        members = [Member(name, args, host, shared, here) for host in args.members]
        nodes = [member for member in reversed(members) if member.node]
        self.flows = {host: args.flows(host) for host in args.members}
        self.roles: list[Role] = []
        etcd = self._etcd(name, args, members, shared)
        if settings.backup:
            spec = repository_spec(members[0], settings.backup)
            self.roles.append(
                Role(f"{name}-{members[0].host.host_name}-backup", members[0].host, spec, self._turn([etcd]))
            )
        self._servers(name, nodes, etcd)
        settled = self._settle(name, nodes)
        if vip := args.virtual_ip:
            KeepalivedVip(f"{name}-vip", replace(vip, after=settled), here)
        if settings.backup:
            self._begin_backups(name, members[0].host, spec, settled)

        addresses = [args.address(host) for host in args.data_hosts]
        self.endpoints = pulumi.Output.all(*addresses).apply(lambda known: _endpoints(settings, known))
        self.virtual_addresses = [str(each) for each in settings.held_addresses]
        self.dsns = self.endpoints.apply(
            lambda both: {
                each.name: _dsn(settings, each, _endpoints(settings, self.virtual_addresses) or both)
                for each in settings.databases
            }
        )
        self.users = {user: _login(settings, user) for user in settings.users}
        self.passwords = pulumi.Output.all(**{user: shared.current[user] for user in settings.users})
        self.authority = args.authority.trusted
        self.client_certificate, self.client_key = shared.client.certificate, shared.client.private_key
        self.outputs = {
            "endpoints": self.endpoints,
            "virtualAddresses": self.virtual_addresses,
            "dsns": self.dsns,
            "users": self.users,
            "passwords": self.passwords,
            "authority": self.authority,
            "clientCertificate": self.client_certificate,
            "clientKey": self.client_key,
            "leaderCheck": self.leader_check,
        }
        self.register_outputs({**self.outputs, "served": list(chain.from_iterable(each.served() for each in members))})

    def _client(self, name: str, args: PostgresHaPairArgs, common_name: str) -> Certificate:
        return Certificate(
            name,
            CertificateArgs(
                authority=args.authority,
                common_name=common_name,
                usage=Usage.CLIENT,
                settings=args.settings.certificates,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _turn(self, after: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
        """One host after the other: two members of three, and one server of two, are always there."""
        return pulumi.ResourceOptions(parent=self, depends_on=[*after, *self.roles[-1:]])

    def _etcd(self, name: str, args: PostgresHaPairArgs, members: Sequence[Member], shared: Shared) -> pulumi.Resource:
        for member in members:
            host = member.host
            self.roles.append(Role(f"{name}-{host.host_name}-etcd", host, member.etcd_spec(), self._turn(args.after)))
        generations, passwords = list(shared.accepted[PATRONI]), shared.accepted[PATRONI].values()
        logins = combined(lambda *known: rendering.etcd_users(dict(zip(generations, known, strict=True))), *passwords)
        # An etcd whose majority was lost knows nobody when it comes back.
        incarnations = combined(
            lambda *known: f"incarnations {' '.join(known)}\n", *(member.host.args.incarnation for member in members)
        )
        host = members[-1].host
        return host.command(
            f"{name}-etcd-access",
            host.as_root(f"{ETCD_LIBRARY}/member access"),
            stdin=host.with_sudo_password(secret(combined("{}{}".format, logins, incarnations))),
            parent=self,
            depends_on=list(self.roles),
        )

    def _servers(self, name: str, nodes: Sequence[Member], etcd: pulumi.Resource) -> None:
        for node in nodes:
            host = node.host
            packages = Role(
                f"{name}-{host.host_name}-packages", host, node.packages_spec(), pulumi.ResourceOptions(parent=self)
            )
            turn = self._turn([etcd, packages])
            self.roles.append(Role(f"{name}-{host.host_name}-postgres", host, node.spec(), turn))

    def _settle(self, name: str, nodes: Sequence[Member]) -> list[pulumi.Resource]:
        """Once every host had its turn the pair is brought together, wherever the leader is by then."""
        what = combined(_fingerprint, *(file.content for node in nodes for file in (*node.files, *node.etcd_files)))
        return [
            node.host.command(
                f"{name}-settle",
                node.host.as_root(f"{COMMAND} {verb}"),
                stdin=node.host.with_sudo_password(combined("{}\n".format, what)),
                parent=self,
                depends_on=list(self.roles),
            )
            for node, verb in zip(nodes, ("settle-all", "settle"), strict=True)
        ]

    def _begin_backups(self, name: str, host: Host, spec: RoleSpec, settled: list[pulumi.Resource]) -> None:
        """The repository takes in a cluster that is there."""
        what = combined(_fingerprint, *(file.content for file in spec.files))
        host.command(
            f"{name}-backup",
            host.as_root(f"{COMMAND} begin"),
            stdin=host.with_sudo_password(combined("{}\n".format, what)),
            parent=self,
            depends_on=settled,
        )


def _fingerprint(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _login(settings: PostgresHaSettings, user: str) -> str:
    generation = settings.passwords.current if settings.given_password(user) is None else 1
    return login(user, generation)


def _endpoints(settings: PostgresHaSettings, addresses: Sequence[str]) -> list[str]:
    return [f"{bracketed(each)}:{settings.connections.port}" for each in addresses]


def _dsn(settings: PostgresHaSettings, database: DatabaseSettings, endpoints: Sequence[str]) -> str:
    """A URL with which libpq, and what is built on it, looks for the primary among the endpoints (libpq.sgml)."""
    user, hosts = _login(settings, database.user), ",".join(endpoints)
    return f"postgresql://{user}@{hosts}/{database.name}?target_session_attrs=read-write&sslmode=verify-full"
