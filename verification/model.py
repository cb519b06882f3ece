"""What a stack declares, as verification sees it: its hosts and clusters, how to reach them, what was put on each.

Secrets are in here. They are kept out of every `repr`, so that no traceback shows one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final, NamedTuple

from policies.exceptions import Exemption
from policies.parsers.addresses import is_loopback, split_port

Network = IPv4Network | IPv6Network
_EVERY_ADDRESS: Final = frozenset({"*", "0.0.0.0", "::"})  # noqa: S104 - to recognise them


class Endpoint(NamedTuple):
    """A TCP address and port."""

    address: str
    port: int

    def __str__(self) -> str:
        """Write `address:port`."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only its own host reaches it."""
        return is_loopback(self.address)

    @staticmethod
    def of(text: str) -> Endpoint | None:
        """Read `address:port`; None for anything else, such as a socket in the file system."""
        address, port = split_port(text)
        return Endpoint(address.partition("%")[0] or "*", int(port)) if port.isdigit() else None


@dataclass(frozen=True, kw_only=True)
class Login:
    """One SSH server and the account on it.

    Attributes:
        address: DNS name or IP address.
        port: SSH port.
        user: Account.
        host_key: Pinned host key, `ssh-ed25519 AAAA…`.
        private_key: OpenSSH private key; None for the agent's.
    """

    address: str
    port: int
    user: str
    host_key: str
    private_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class File:
    """A file as the stack wrote it.

    Attributes:
        text: Its text; None where the state does not have it.
        mode: Permission bits, for example `0644`.
        owner: `user:group`.
        secret: Whether its text must not be shown.
    """

    text: str | None = field(repr=False)
    mode: str
    owner: str
    secret: bool = False


@dataclass(frozen=True, kw_only=True)
class Role:
    """What one role puts on one host.

    Attributes:
        name: Name of the resource.
        files: Files by path.
        directories: Mode and `user:group` by path.
        filled: Directories that go with all that is in them: what that is, is for their service.
        users: System users.
        units: systemd units that run.
    """

    name: str
    files: Mapping[str, File] = field(default_factory=dict)
    directories: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    filled: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    units: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Tunnels:
    """The near ends of tunnels.

    Attributes:
        user: Account at both ends.
        units: Units that run them.
        key: Private key with which they log in.
    """

    user: str
    units: tuple[str, ...]
    key: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Admission:
    """An account in which tunnels end.

    Attributes:
        user: The account.
        clients: Names of the hosts that it lets in.
    """

    user: str
    clients: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Balancer:
    """An HAProxy.

    Attributes:
        socket: Path of its runtime API.
        exposed: Names of the frontends that others reach on purpose.
    """

    socket: str
    exposed: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host of the stack.

    Attributes:
        name: Its name in the stack.
        address: What other hosts dial.
        login: How it is reached; None where the state does not tell.
        bastion: The hop before it.
        sudo_password: Password for sudo; None where sudo does not ask.
        roles: What was put on it.
        tunnels: Near ends of tunnels on it.
        admissions: Far ends of tunnels on it.
        balancers: Load balancers on it.
        listeners: Where the stack has a process listen, with the process's name.
        targets: What tunnels that end here may reach.
        exposed: Where others may connect on purpose.
        guarded: TCP ports that the host's firewall closes to everybody but the host itself.
        members: Commands that tell how members of groups of servers on it are, by service: `redis`, `postgres`.
    """

    name: str
    address: str
    login: Login | None = None
    bastion: Login | None = None
    sudo_password: str | None = field(default=None, repr=False)
    roles: tuple[Role, ...] = ()
    tunnels: tuple[Tunnels, ...] = ()
    admissions: tuple[Admission, ...] = ()
    balancers: tuple[Balancer, ...] = ()
    listeners: Mapping[Endpoint, str] = field(default_factory=dict)
    targets: frozenset[Endpoint] = frozenset()
    exposed: frozenset[Endpoint] = frozenset()
    guarded: frozenset[int] = frozenset()
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, File]:
        """All files that the stack wrote."""
        return {path: file for role in self.roles for path, file in role.files.items()}

    @property
    def directories(self) -> dict[str, tuple[str, str]]:
        """All directories that the stack asks for."""
        return {path: place for role in self.roles for path, place in role.directories.items()}

    @property
    def filled(self) -> frozenset[str]:
        """All directories that services fill."""
        return frozenset(path for role in self.roles for path in role.filled)

    @property
    def units(self) -> tuple[str, ...]:
        """All units that the stack runs."""
        return tuple(dict.fromkeys(unit for role in self.roles for unit in role.units))

    @property
    def users(self) -> tuple[str, ...]:
        """All system users that the stack made."""
        return tuple(dict.fromkeys(user for role in self.roles for user in role.users))

    def declares(self, endpoint: Endpoint) -> bool:
        """Tell whether an address beyond loopback was meant to answer: exposed, or what a tunnel leads to."""
        return any(
            meant.port == endpoint.port and meant.address in {endpoint.address, *_EVERY_ADDRESS}
            for meant in self.exposed | self.targets
            if not meant.loopback
        )


class Pod(NamedTuple):
    """A pod's name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Write `namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class PodGroup:
    """A group of servers in pods.

    Attributes:
        name: Name of the resource.
        namespace: Where its pods are.
        labels: Labels that all of its pods have, and no others.
        command: Tells in a container how that member of the group is.
        members: Pods by name, with the container to ask and the TCP port that it serves.
    """

    name: str
    namespace: str
    labels: Mapping[str, str]
    command: str
    members: Mapping[str, tuple[str, int]]


@dataclass(frozen=True, kw_only=True)
class Written:
    """An object of Kubernetes as the stack wrote it.

    Attributes:
        urn: Its resource.
        resource: That one's name in the program.
        token: That one's type, for example `kubernetes:apps/v1:StatefulSet`.
        namespace: Where it is.
        name: Its name in the cluster.
        content: What it was right after it was written, with what the API server added.
        asked: What was asked for.
    """

    urn: str
    resource: str
    token: str
    namespace: str
    name: str
    content: Mapping[str, Any] = field(repr=False, hash=False)
    asked: Mapping[str, Any] = field(repr=False, hash=False)

    @property
    def kind(self) -> str:
        """Its kind, for example `StatefulSet`."""
        return self.token.rpartition(":")[2]

    def __str__(self) -> str:
        """Write `StatefulSet namespace/name`."""
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster of Kubernetes in which the stack has something.

    Attributes:
        name: What reports call it: `cluster/` and its context.
        kubeconfig: Content or path of the kubeconfig; None for what kubectl would take.
        context: Context in there; None for the current one.
        groups: Groups of servers in its pods.
        objects: What components of the stack wrote.
    """

    name: str
    kubeconfig: str | None = field(default=None, repr=False)
    context: str | None = None
    groups: tuple[PodGroup, ...] = ()
    objects: tuple[Written, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Cache:
    """A cache service.

    Attributes:
        name: Name of the resource.
        applications: Where each application host reaches it, by host name.
        workers: Hosts on which its NodePort is; the cache sees whoever comes by it as one of their addresses.
        password: Its password; None where the state does not have it.
    """

    name: str
    applications: Mapping[str, Endpoint]
    workers: frozenset[str] = frozenset()
    password: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class VirtualIps:
    """Virtual IPs that move between some hosts.

    Attributes:
        name: Name of the resource.
        hosts: Names of the hosts that may hold them.
        instances: Addresses that move together, by the instance's name.
        led: Names of the instances that follow a leader: on the other hosts their checks fail all the time.
    """

    name: str
    hosts: tuple[str, ...]
    instances: Mapping[str, tuple[str, ...]]
    led: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two PostgreSQL servers.

    Attributes:
        name: Name of the resource.
        nodes: Names of their hosts.
        port: Where they listen.
    """

    name: str
    nodes: tuple[str, ...]
    port: int


@dataclass(frozen=True, kw_only=True)
class RedisClient:
    """Clients of a Redis that show it a certificate, such as Spinnaker's services.

    Attributes:
        name: Name of the resource.
        host: Name of the host from which Redis is tried, or of the cluster that it is in.
        endpoint: Where Redis is, as the clients dial it.
        pod: The pod that answers there in a cluster; None on hosts.
        certificate: Their certificate in PEM.
        key: Its key in PEM.
        trusted: The roots by which they know Redis, in PEM.
        password: What they send for the user `default`; empty for none.
    """

    name: str
    host: str
    endpoint: Endpoint
    pod: Endpoint | None = None
    certificate: str
    key: str = field(repr=False)
    trusted: str
    password: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class ServedCertificate:
    """A certificate that a service shows its clients.

    Attributes:
        host: Name of the host on which it listens, or of the cluster.
        endpoint: Where, as that host dials it; in a cluster by the whole name of a pod.
        certificate: What the stack wrote last, in PEM; of several the first.
        trusted: The roots that clients trust, in PEM.
        renewal_days: How long before its end the next `pulumi up` renews it.
        names: Every DNS name and address that a client dials; none for the endpoint's address alone.
        asked_first: Whether it speaks TLS only once it was asked to, as PostgreSQL does.
    """

    host: str
    endpoint: Endpoint
    certificate: str
    trusted: str
    renewal_days: int
    names: tuple[str, ...] = ()
    asked_first: bool = False


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Everything that is verified.

    Attributes:
        hosts: Hosts by name.
        clusters: Clusters by name.
        caches: Cache services.
        served: Certificates that services show.
        vips: Virtual IPs.
        pairs: Pairs of PostgreSQL servers.
        spinnakers: Spinnakers' services, as clients of Redis.
        client_networks: Networks from which a cache may have clients, such as a cluster's pods.
        exemptions: Exceptions from policies, by policy.
        lab: What a lab has in place of something real, or that it has the real thing; empty without a lab.
    """

    hosts: Mapping[str, Host]
    clusters: Mapping[str, Cluster] = field(default_factory=dict)
    caches: tuple[Cache, ...] = ()
    served: tuple[ServedCertificate, ...] = ()
    vips: tuple[VirtualIps, ...] = ()
    pairs: tuple[Pair, ...] = ()
    spinnakers: tuple[RedisClient, ...] = ()
    client_networks: tuple[Network, ...] = ()
    exemptions: Mapping[str, tuple[Exemption, ...]] = field(default_factory=dict)
    lab: str = ""

    @property
    def sealed_ports(self) -> frozenset[int]:
        """Ports of the data tier: no host lets others reach them, unless it declares to."""
        return frozenset(
            endpoint.port
            for host in self.hosts.values()
            for endpoint in (*host.listeners, *host.targets)
            if endpoint not in host.exposed
        )
