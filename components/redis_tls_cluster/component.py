"""Redis or Valkey under TLS as a resource."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import pulumi

from components.certificates import Certificate, CertificateArgs, Usage
from components.host import Role
from components.inputs import combined
from components.names import bracketed
from components.passwords import Passwords
from components.redis_tls_cluster.arguments import RedisTlsClusterArgs
from components.redis_tls_cluster.member import Member, Shared
from components.redis_tls_cluster.rendering import digest, library
from components.redis_tls_cluster.settings import Topology


class RedisTlsCluster(pulumi.ComponentResource):
    """Redis or Valkey with TLS on every link: standalone, replicated under Sentinel, or a cluster; on hosts or as pods.

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
        flows: What it needs of each host's firewall, by host; none on Kubernetes.
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
                common_name=f"{settings.name} client",
                usage=Usage.CLIENT,
                settings=settings.certificates,
            ),
            here,
        )
        shared = Shared.of(settings, Passwords(f"{name}-passwords", settings.passwords, here), client)
        members = [Member(name, args, host, shared, here) for host in args.members]
        self.flows = {host: args.flows(host) for host in args.members}
        self.roles: list[Role] = []
        addresses: Sequence[pulumi.Input[str]]
        watchers: Sequence[pulumi.Input[str]]
        served = [each for member in members for each in member.served()]
        if settings.kubernetes:
            # Stacks of hosts need not wait half a second for it.
            from components.redis_tls_cluster.kubernetes.pods import Pods  # noqa: PLC0415

            pods = Pods(name, args, shared, here)
            addresses, watchers = pods.names.endpoints, pods.names.sentinels
            served += pods.served
        else:
            self._on_hosts(name, args, members)
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
        self.register_outputs({**self.outputs, "served": served})

    def _on_hosts(self, name: str, args: RedisTlsClusterArgs, members: Sequence[Member]) -> None:
        """Have the hosts their turns, one after another."""
        for member in members:
            turn = pulumi.ResourceOptions(parent=self, depends_on=[*args.after, *self.roles[-1:]])
            self.roles.append(Role(f"{name}-{member.host.host_name}-node", member.host, member.spec(), turn))
        if args.settings.topology is not Topology.STANDALONE:
            self._settle(name, args, members)

    def _settle(self, name: str, args: RedisTlsClusterArgs, members: Sequence[Member]) -> None:
        """Once everybody had its turn the group is brought together, and left by who is no longer in it."""
        first = args.hosts[args.settings.nodes[0].host]
        machines = chain.from_iterable((each.host.args.incarnation, each.host.args.host_key) for each in members)
        what = combined(digest, *(file.content for member in members for file in member.files), *machines)
        self.group = first.command(
            f"{name}-group",
            first.as_root(f"{library(args.settings)}/group settle"),
            stdin=first.with_sudo_password(combined("{}\n".format, what)),
            parent=self,
            depends_on=list(self.roles),
        )


def _endpoints(addresses: Sequence[pulumi.Input[str]], port: int) -> pulumi.Output[list[str]]:
    return pulumi.Output.all(*addresses).apply(lambda known: [f"{bracketed(each)}:{port}" for each in known])
