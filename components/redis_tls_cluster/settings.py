"""Settings of Redis or Valkey under TLS, and what cannot work, told before any host is touched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr, model_validator

from components.certificates import CertificateSettings
from components.firewall.settings import Network
from components.passwords import PasswordSettings
from components.redis_tls_cluster.kubernetes.settings import KubernetesSettings
from components.settings import DirectoryPath, Location, Port, Problem, ServerNode, Settings, Some, refuse

_GROUP: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")
_SIZE: Final = re.compile(r"\d+([kmg]b?|b)?", re.IGNORECASE)
_USER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
# acl.c, ACLSetUser: commands and categories, keys, channels. Passwords and on/off are not a rule's business.
_RULE: Final = re.compile(
    r"[+-]@?[a-z][a-z0-9_|-]*|(%(R|W|RW))?~\S+|&\S+|allkeys|resetkeys|allchannels|resetchannels|allcommands|nocommands"
)
_QUOTES: Final = re.compile(r"[\s\"'\\]")
_SUITES: Final = re.compile(r"[A-Za-z0-9_:+!@=-]+")

_PLAINTEXT_PORT: Final = 6379
_FORCED_PORT: Final = 6379
_DUAL_PORT: Final = 6380
_BUS_OFFSET: Final = 10_000
_LAST_PORT: Final = 65_535
_LEAST_MASTERS: Final = 3
_LEAST_SENTINELS: Final = 3

#: Accounts that the component itself needs.
MANAGER: Final = "manager"
REPLICATION: Final = "replication"
SENTINEL: Final = "sentinel"
DEFAULT: Final = "default"


def _group_name(name: str) -> str:
    if not _GROUP.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a group: use up to 31 lower-case letters, digits and '-'")
    return name


def _size(text: str) -> str:
    if not _SIZE.fullmatch(text):
        raise ValueError(f"{text!r} is no size: write bytes, or a number with kb, mb or gb (1024-based), as in '512mb'")
    return text.lower()


def _account(name: str) -> str:
    if not _USER.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a user: use up to 63 letters, digits, '_', '.' and '-'")
    if name in (MANAGER, REPLICATION, SENTINEL):
        raise ValueError(f"{name!r} is an account that the nodes use among themselves: choose another name")
    return name


def _rule(text: str) -> str:
    if not _RULE.fullmatch(text) or _QUOTES.search(text):
        fix = "use commands (+get, -@dangerous), keys (~cache:*) and channels (&*); passwords have keys of their own"
        raise ValueError(f"{text!r} is no ACL rule: {fix}")
    return text


def _suites(text: str) -> str:
    if not _SUITES.fullmatch(text):
        raise ValueError(f"{text!r} is no list of cipher suites: write OpenSSL's names with ':' between them")
    return text


Size = Annotated[str, AfterValidator(_size)]
Suites = Annotated[str, AfterValidator(_suites)]
Milliseconds = Annotated[int, Field(ge=100, le=3_600_000)]


class Flavour(StrEnum):
    """Which of the two servers runs."""

    REDIS = "redis"
    VALKEY = "valkey"


class Topology(StrEnum):
    """How the nodes belong together."""

    STANDALONE = "standalone"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class AuthClients(StrEnum):
    """Whether a client has to have a certificate (redis.conf, tls-auth-clients)."""

    YES = "yes"
    OPTIONAL = "optional"
    NO = "no"


class Fsync(StrEnum):
    """When what was appended reaches the disk (redis.conf, appendfsync)."""

    ALWAYS = "always"
    EVERYSEC = "everysec"
    NO = "no"


class PlaintextSettings(Settings):
    """A plaintext port beside the TLS port, for as long as clients move ("dual" mode).

    Attributes:
        because: Why it is needed; policies show it to reviewers.
        until: Last day on which policies let it pass, `YYYY-MM-DD`.
        port: Plaintext port, default 6379.
    """

    because: str = Field(min_length=10, pattern=r"^[^\n\r]+$")
    until: date
    port: Port = _PLAINTEXT_PORT


class TlsSettings(Settings):
    """How TLS is spoken (redis.conf, TLS/SSL).

    Attributes:
        auth_clients: `yes` (default: no certificate, no connection), `optional` or `no`.
        plaintext: A plaintext port beside it; default none: `port 0`.
        protocols: Versions, default `TLSv1.2 TLSv1.3`.
        ciphers: Suites of TLS 1.2 as OpenSSL lists them; default forward secrecy with AEAD only.
        ciphersuites: Suites of TLS 1.3.
        session_caching: Whether TLS 1.2 and 1.3 sessions can be resumed, default true.
        session_cache_size: Sessions kept, default 20480.
        session_cache_timeout: Seconds for which one can be resumed, default 300.
        directory: Where certificates and keys are, in `server/` and `client/`; default `/etc/<flavour>/tls`.
    """

    auth_clients: AuthClients = AuthClients.YES
    plaintext: PlaintextSettings | None = None
    protocols: Some[Annotated[str, Field(pattern=r"^TLSv1\.[23]$")]] = ("TLSv1.2", "TLSv1.3")
    ciphers: Suites = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
    ciphersuites: Suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
    session_caching: bool = True
    session_cache_size: int = Field(default=20480, ge=0)
    session_cache_timeout: int = Field(default=300, ge=1)
    directory: DirectoryPath | None = None


class UserSettings(Settings):
    """An account of applications (redis.conf, ACL).

    Attributes:
        name: Its name; `default` is the account of clients that give a password only. Unless listed, it is off.
        rules: What it may do, default everything but administration and dangerous commands.
        password: Its password (secret); default: generated, see `passwords`.
        also_accepted: Passwords that are let in beside it (secret), for as long as clients change over.
    """

    name: Annotated[str, AfterValidator(_account)]
    rules: Some[Annotated[str, AfterValidator(_rule)]] = ("~*", "&*", "+@all", "-@admin", "-@dangerous", "+info")
    password: SecretStr | None = None
    also_accepted: tuple[SecretStr, ...] = ()


class OutputLimit(Settings):
    """When a client that does not read is cut off (redis.conf, client-output-buffer-limit); 0 is never.

    Attributes:
        hard: Size at which it is cut off at once.
        soft: Size at which it is cut off after `seconds`.
        seconds: How long it may be above `soft`.
    """

    hard: Size = "0"
    soft: Size = "0"
    seconds: int = Field(default=0, ge=0)


class OutputLimits(Settings):
    """Limits by kind of client.

    Attributes:
        normal: Applications, default none.
        replica: Replicas, default 256mb, or 64mb for 60 s.
        pubsub: Subscribers, default 32mb, or 8mb for 60 s.
    """

    normal: OutputLimit = OutputLimit()
    replica: OutputLimit = OutputLimit(hard="256mb", soft="64mb", seconds=60)
    pubsub: OutputLimit = OutputLimit(hard="32mb", soft="8mb", seconds=60)


class MemorySettings(Settings):
    """How much is kept (redis.conf, MEMORY MANAGEMENT).

    Attributes:
        limit: maxmemory, for example `512mb`; default `0`, no limit.
        policy: What goes when the limit is reached, default `noeviction`.
        output_limits: When slow clients are cut off.
    """

    limit: Size = "0"
    policy: Annotated[str, Field(pattern=r"^(noeviction|(allkeys|volatile)-(lru|lfu|random)|volatile-ttl)$")] = (
        "noeviction"
    )
    output_limits: OutputLimits = OutputLimits()


class SavePoint(Settings):
    """A snapshot after so many seconds if so many keys changed.

    Attributes:
        seconds: Time.
        changes: Changed keys.
    """

    seconds: int = Field(ge=1)
    changes: int = Field(ge=1)


class PersistenceSettings(Settings):
    """What outlives a restart (redis.conf, SNAPSHOTTING and APPEND ONLY MODE).

    Attributes:
        append_only: Whether every write is appended to a file, default true.
        fsync: When that reaches the disk: `always`, `everysec` (default) or `no`.
        snapshots: When snapshots are made, default 3600 s and 1 change, 300 s and 100, 60 s and 10000; empty for none.
    """

    append_only: bool = True
    fsync: Fsync = Fsync.EVERYSEC
    snapshots: tuple[SavePoint, ...] = (
        SavePoint(seconds=3600, changes=1),
        SavePoint(seconds=300, changes=100),
        SavePoint(seconds=60, changes=10000),
    )


class ReplicationSettings(Settings):
    """What a primary asks of its replicas (redis.conf, REPLICATION).

    Attributes:
        min_replicas_to_write: Replicas without which a primary refuses writes; default 1 with Sentinel, else 0.
        min_replicas_max_lag: Seconds of silence after which a replica no longer counts, default 5.
        backlog: Writes kept for replicas that come back, default `16mb`.
    """

    min_replicas_to_write: int | None = Field(default=None, ge=0)
    min_replicas_max_lag: int = Field(default=5, ge=1)
    backlog: Size = "16mb"


class SentinelSettings(Settings):
    """Who watches the primary and names the next one (sentinel.conf).

    Attributes:
        hosts: Hosts that watch, at least three; default the nodes' hosts.
        port: TLS port, default 26379.
        quorum: Sentinels that have to agree that the primary is gone; default their majority.
        down_after_ms: Silence after which a node is gone, default 1500: more than its longest command takes.
        failover_timeout_ms: After which a failover is tried again, default 10000.
        parallel_syncs: Replicas that turn to a new primary at once, default 1.
    """

    hosts: tuple[str, ...] = ()
    port: Port = 26379
    quorum: int | None = Field(default=None, ge=1)
    down_after_ms: Milliseconds = 1500
    failover_timeout_ms: Milliseconds = 10_000
    parallel_syncs: int = Field(default=1, ge=1)


class ClusterSettings(Settings):
    """How a cluster is made (redis.conf, REDIS CLUSTER).

    Attributes:
        replicas: Replicas of each master, default 0.
        node_timeout_ms: Silence after which a node is taken to be gone, default 5000.
        require_full_coverage: Whether the cluster stops when a part of the keys has no master, default true.
    """

    replicas: int = Field(default=0, ge=0)
    node_timeout_ms: Milliseconds = 5000
    require_full_coverage: bool = True


class RedisTlsSettings(Settings):
    """Redis or Valkey under TLS.

    Attributes:
        name: Name of the group, default `redis`; Sentinel's master name.
        flavour: `redis` (default) or `valkey`.
        topology: `standalone` (default), `sentinel` (the first node is the first primary) or `cluster`.
        nodes: The servers, on hosts; either these or `kubernetes`.
        kubernetes: The servers, as pods.
        port: TLS port; default 6379, or 6380 beside a plaintext port.
        clients: Addresses and networks from which applications come, for the hosts' firewall; default everybody.
        tls: How TLS is spoken.
        users: Accounts of applications; default one, `app`.
        passwords: Generations of generated passwords.
        certificates: Kind of key, validity and renewal of the nodes' and the client's certificates.
        memory: Limits.
        persistence: What outlives a restart.
        replication: What a primary asks of its replicas.
        sentinel: Who watches; with topology `sentinel`.
        cluster: Masters and replicas; with topology `cluster`.
        keyspace_events: Kinds of events that are published (redis.conf, EVENT NOTIFICATION), default none.
        io_threads: Threads that read and write connections, default 1; takes effect by a restart.
        data_directory: Where data is kept, default `/var/lib/<flavour>-tls`.
        remove_data: Whether the data goes when the node leaves the stack; default false.
        settle_seconds: How long a node may take until it is in sync again, default 120.
    """

    name: Annotated[str, AfterValidator(_group_name)] = "redis"
    flavour: Flavour = Flavour.REDIS
    topology: Topology = Topology.STANDALONE
    nodes: Some[ServerNode] = ()
    kubernetes: KubernetesSettings | None = None
    port: Port | None = None
    clients: Some[Network] | None = None
    tls: TlsSettings = TlsSettings()
    users: Some[UserSettings] = (UserSettings(name="app"),)
    passwords: PasswordSettings = PasswordSettings()
    certificates: CertificateSettings = CertificateSettings()
    memory: MemorySettings = MemorySettings()
    persistence: PersistenceSettings = PersistenceSettings()
    replication: ReplicationSettings = ReplicationSettings()
    sentinel: SentinelSettings = SentinelSettings()
    cluster: ClusterSettings = ClusterSettings()
    keyspace_events: str = Field(default="", pattern=r"^[A-Za-z$]*$")
    io_threads: int = Field(default=1, ge=1, le=128)
    data_directory: DirectoryPath | None = None
    remove_data: bool = False
    settle_seconds: int = Field(default=120, ge=10, le=86_400)

    @property
    def tls_port(self) -> int:
        """`port` with its default."""
        return self.port or (_DUAL_PORT if self.tls.plaintext else _FORCED_PORT)

    @property
    def plaintext_port(self) -> int:
        """The plaintext port; 0 is none."""
        return self.tls.plaintext.port if self.tls.plaintext else 0

    @property
    def bus_port(self) -> int:
        """Where the nodes of a cluster talk (redis.conf, cluster-port)."""
        return self.tls_port + _BUS_OFFSET

    @property
    def min_replicas(self) -> int:
        """`replication.min_replicas_to_write` with its default."""
        given = self.replication.min_replicas_to_write
        return (1 if self.topology is Topology.SENTINEL else 0) if given is None else given

    @property
    def sentinel_hosts(self) -> tuple[str, ...]:
        """Hosts that run a Sentinel."""
        if self.topology is not Topology.SENTINEL:
            return ()
        return self.sentinel.hosts or tuple(node.host for node in self.nodes)

    @property
    def servers(self) -> int:
        """How many servers there are."""
        if self.kubernetes is None:
            return len(self.nodes)
        return self.kubernetes.servers or (3 if self.topology is Topology.SENTINEL else 1)

    @property
    def sentinels(self) -> int:
        """How many Sentinels there are."""
        if self.kubernetes is None or self.topology is not Topology.SENTINEL:
            return len(self.sentinel_hosts)
        return self.kubernetes.sentinels or _LEAST_SENTINELS

    @property
    def quorum(self) -> int:
        """`sentinel.quorum` with its default."""
        return self.sentinel.quorum or self.sentinels // 2 + 1

    @property
    def tls_directory(self) -> str:
        """`tls.directory` with its default."""
        return self.tls.directory or f"/etc/{self.flavour}/tls"

    @property
    def data(self) -> str:
        """`data_directory` with its default."""
        return self.data_directory or f"/var/lib/{self.flavour}-tls"

    def common_name(self, host: str) -> str:
        """Return the common name of a member's certificate, which no other one has."""
        return f"{self.name} {host}"

    @model_validator(mode="after")
    def _fits_together(self) -> RedisTlsSettings:
        refuse([*self._placed(), *self._nodes(), *self._users(), *self._ports(), *self._safe(), *self._group()])
        return self

    def _placed(self) -> Iterator[Problem]:
        if self.kubernetes is None:
            if not self.nodes:
                yield ("nodes",), "is missing: list the hosts of its servers, or say kubernetes"
            return
        if self.nodes:
            yield ("nodes",), "a group is on hosts or on Kubernetes: remove this, or kubernetes"
        if self.topology is Topology.CLUSTER:
            text = "its nodes know each other by addresses, which pods change: use sentinel, or hosts"
            yield ("topology",), f"{self.topology} cannot be used on Kubernetes: {text}"
        for where, given, fix in (
            (("clients",), self.clients, "say who may connect in kubernetes.clients"),
            (("sentinel", "hosts"), self.sentinel.hosts, "say how many in kubernetes.sentinels"),
            (("tls", "plaintext"), self.tls.plaintext, "pods take no plaintext: remove it"),
            (("tls", "directory"), self.tls.directory, "pods have a place of their own: remove it"),
            (("dataDirectory",), self.data_directory, "pods have a volume: remove it, and see kubernetes.storage"),
        ):
            if given:
                yield where, f"has no meaning on Kubernetes: {fix}"
        yield from self._pods()

    def _pods(self) -> Iterator[Problem]:
        assert self.kubernetes  # noqa: S101 - as the caller has seen
        here, exposure = self.kubernetes, self.kubernetes.exposure
        if here.sentinels is not None and self.topology is not Topology.SENTINEL:
            yield ("kubernetes", "sentinels"), f"nobody watches with topology {self.topology}: remove it"
        if exposure and exposure.node_ports and len(exposure.node_ports) != self.servers:
            text = f"{len(exposure.node_ports)} for {self.servers} servers: list one each, or none"
            yield ("kubernetes", "exposure", "nodePorts"), text

    def _nodes(self) -> Iterator[Problem]:
        hosts = [node.host for node in self.nodes]
        for at, host in enumerate(hosts):
            if host in hosts[:at]:
                yield ("nodes", at, "host"), f"{host!r} runs a node already: one a host"

    def _users(self) -> Iterator[Problem]:
        names = [user.name for user in self.users]
        for at, user in enumerate(self.users):
            if user.name in names[:at]:
                yield ("users", at, "name"), f"{user.name!r} is listed twice: remove one"
            if user.also_accepted and user.password is None:
                text = "the password is generated: use passwords.accepted, or give password too"
                yield ("users", at, "alsoAccepted"), text
            given = [("password",), *(("alsoAccepted", each) for each in range(len(user.also_accepted)))]
            for where, secret in zip(given, (user.password, *user.also_accepted), strict=True):
                if secret is not None and not secret.get_secret_value():
                    yield ("users", at, *where), "is empty: give a password, or none to have one generated"

    def _ports(self) -> Iterator[Problem]:
        if self.plaintext_port == self.tls_port:
            yield ("port",), f"{self.tls_port} is the plaintext port: use another one, such as {_DUAL_PORT}"
        if self.tls.plaintext and self.port is None and self.topology is not Topology.STANDALONE:
            text = "is missing: nodes know each other by it, so it must not move when plaintext goes"
            yield ("port",), f"{text}: say port: {_DUAL_PORT}"
        if self.topology is Topology.CLUSTER and self.bus_port > _LAST_PORT:
            yield ("port",), f"{self.tls_port}: the cluster's bus is {_BUS_OFFSET} above: use at most 55535"
        if self.sentinels and self.sentinel.port in (self.tls_port, self.plaintext_port):
            yield ("sentinel", "port"), f"{self.sentinel.port} is the server's port: use another one"

    def _safe(self) -> Iterator[Problem]:
        kept = self.persistence
        if self.topology is not Topology.STANDALONE and not kept.append_only and not kept.snapshots:
            text = "a primary that restarts empty empties its replicas: set appendOnly, or list snapshots"
            yield ("persistence",), text

    def _group(self) -> Iterator[Problem]:
        if not self.servers:
            return
        count, where = self.servers, ("nodes",) if self.kubernetes is None else ("kubernetes", "servers")
        if self.topology is Topology.STANDALONE and count > 1:
            yield where, f"{count} nodes: standalone is one; set topology to sentinel or cluster"
        if self.topology is not Topology.SENTINEL and self.sentinel != SentinelSettings():
            yield ("sentinel",), f"nobody watches with topology {self.topology}: remove it"
        if self.topology is not Topology.CLUSTER and self.cluster != ClusterSettings():
            yield ("cluster",), f"there is none with topology {self.topology}: remove it"
        if self.topology is Topology.SENTINEL:
            yield from self._watch(count, where)
        if self.topology is Topology.CLUSTER and self.nodes:
            masters, rest = divmod(count, 1 + self.cluster.replicas)
            if rest or masters < _LEAST_MASTERS:
                least = _LEAST_MASTERS * (1 + self.cluster.replicas)
                text = f"{count} nodes with {self.cluster.replicas} replicas each: list {least} or a greater multiple"
                yield ("nodes",), f"{text} of {1 + self.cluster.replicas}"

    def _watch(self, count: int, where: Location) -> Iterator[Problem]:
        watchers = self.sentinels
        if count == 1:
            yield where, "one node has no replica that could take over: list more, or use standalone"
        if self.nodes and watchers < _LEAST_SENTINELS:
            text = f"{watchers} sentinels cannot outvote a lost one: list at least {_LEAST_SENTINELS} hosts"
            yield ("sentinel", "hosts"), text
        for at, host in enumerate(self.sentinel.hosts):
            if host in self.sentinel.hosts[:at]:
                yield ("sentinel", "hosts", at), f"{host!r} is listed twice: remove one"
        if not watchers // 2 < self.quorum <= watchers:
            text = f"{self.quorum} of {watchers}: use {watchers // 2 + 1} to {watchers}, so that no minority acts"
            yield ("sentinel", "quorum"), text
        if self.min_replicas >= count:
            yield (
                ("replication", "minReplicasToWrite"),
                f"{self.min_replicas} of {count - 1} replicas: no write would ever pass; use less",
            )
