"""Settings of a pair of PostgreSQL servers with a witness, and what cannot work, told before any host is touched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr, model_validator

from components.certificates import CertificateSettings
from components.firewall.settings import Network
from components.keepalived_vip.settings import (
    FailoverMail,
    Interface,
    NotifyHook,
    RouterId,
    VirtualAddress,
)
from components.names import account_name
from components.passwords import PasswordSettings
from components.settings import DirectoryPath, HostName, Port, Problem, ServerNode, Settings, Some, refuse

_PAIR: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")
# What needs no quotes in SQL and pg_hba.conf; eight characters of PostgreSQL's 63 are left for the alternate login.
_IDENTIFIER: Final = re.compile(r"[a-z_][a-z0-9_]{0,52}")
_PARAMETER: Final = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
# PostgreSQL's own units (config.sgml, "Parameter Names and Values"), 1024-based.
_SIZE: Final = re.compile(r"([1-9]\d{0,9})(kB|MB|GB|TB)")
_DURATION: Final = re.compile(r"([1-9]\d{0,9})(ms|s|min|h|d)")
_PASSWORD: Final = re.compile(r"[!-~]+")
_SECONDS: Final = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86_400}
# Enough that nobody finds it out who has a copy of the repository.
_SHORTEST_PASSPHRASE: Final = 20
# What pgbackrest.conf takes as a value: in one line, without blanks around it.
_VALUE: Final = re.compile(r"[!-~]([ -~]*[!-~])?")
# What systemd hands on as it is.
_ARGUMENT: Final = re.compile(r"[!-#&-~]+")
_DATA_NODES: Final = 2
_LATEST: Final = "latest"
_RESERVED_USERS: Final = ("postgres", "public", "none", "user", "all", "replication", "sameuser", "samerole")
_RESERVED_DATABASES: Final = ("postgres", "template0", "template1", "all", "replication", "sameuser", "samerole")
_ALTERNATE: Final = "_alternate"

#: Accounts that the nodes use between each other.
REPLICATION: Final = "replicator"
REWIND: Final = "rewinder"
#: What Patroni is called at etcd.
PATRONI: Final = "patroni"


def _pair_name(name: str) -> str:
    if not _PAIR.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a pair: use up to 31 lower-case letters, digits and '-'")
    return name


def _identifier(name: str) -> str:
    if not _IDENTIFIER.fullmatch(name) or name.startswith("pg_"):
        raise ValueError(f"{name!r} is no name here: use up to 53 lower-case letters, digits and '_', not 'pg_…'")
    return name


def _size(text: str) -> str:
    if not _SIZE.fullmatch(text):
        raise ValueError(f"{text!r} is no size: write a number with kB, MB, GB or TB (1024-based), as in '512MB'")
    return text


def _duration(text: str) -> str:
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no time: write a number with ms, s, min, h or d, as in '15min'")
    return text


def _parameter(name: str) -> str:
    if not _PARAMETER.fullmatch(name):
        raise ValueError(f"{name!r} is no parameter of PostgreSQL: use lower-case letters, digits, '_' and '.'")
    return name


def _calendar(text: str) -> str:
    if not _VALUE.fullmatch(text) or "%" in text:
        raise ValueError(f"{text!r} is no time for a timer: write it as systemd.time(7) says, as in 'Sun 01:00'")
    return text


def _beginning(text: str) -> str:
    try:
        known = text == _LATEST or datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        known = False
    if not known:
        fix = f"write {_LATEST}, or a time with its zone, as in '2030-01-31 12:00:00+00'"
        raise ValueError(f"{text!r} is nothing to begin with: {fix}")
    return text


def _passphrase(given: SecretStr) -> SecretStr:
    text = given.get_secret_value()
    if len(text) < _SHORTEST_PASSPHRASE or not _VALUE.fullmatch(text):
        fix = f"give {_SHORTEST_PASSPHRASE} printable ASCII characters or more, as from `openssl rand -base64 48`"
        raise ValueError(f"is too short, or has more than printable ASCII: {fix}")
    return given


def _plain_secret(given: SecretStr) -> SecretStr:
    if not _VALUE.fullmatch(given.get_secret_value()):
        raise ValueError("is empty or has more than printable ASCII: copy it again")
    return given


def _argument(text: str) -> str:
    if not _ARGUMENT.fullmatch(text):
        raise ValueError(f"{text!r} cannot be an argument: give printable ASCII without blanks, '$' and '%'")
    return text


def _word(text: str) -> str:
    if not _PASSWORD.fullmatch(text):
        raise ValueError(f"{text!r} cannot be used: give it without blanks")
    return text


Argument = Annotated[str, AfterValidator(_argument)]
Word = Annotated[str, AfterValidator(_word)]
Calendar = Annotated[str, AfterValidator(_calendar)]
Beginning = Annotated[str, AfterValidator(_beginning)]
PlainSecret = Annotated[SecretStr, AfterValidator(_plain_secret)]
Parameter = Annotated[str, AfterValidator(_parameter)]
Identifier = Annotated[str, AfterValidator(_identifier)]
Size = Annotated[str, AfterValidator(_size)]
Duration = Annotated[str, AfterValidator(_duration)]


def kilobytes(size: str) -> int:
    """Return a size in kB, to compare sizes."""
    found = _SIZE.fullmatch(size)
    if found is None:
        raise ValueError(f"{size!r} is no size")
    scale: int = 1024 ** ("kB", "MB", "GB", "TB").index(found[2])
    return int(found[1]) * scale


def seconds(duration: str) -> float:
    """Return a time in seconds."""
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise ValueError(f"{duration!r} is no time")
    return int(found[1]) * _SECONDS[found[2]]


def login(account: str, generation: int) -> str:
    """Return the role with which a generation of an account's password logs in.

    A role of PostgreSQL has one password, so generations take turns: the odd ones log in as the account itself, the
    even ones as its alternate, which acts as the account (`SET ROLE`).
    """
    return account if generation % 2 else f"{account}{_ALTERNATE}"


def logins(account: str) -> tuple[str, str]:
    """Return both roles of an account."""
    return login(account, 1), login(account, 2)


class Mode(StrEnum):
    """What happens to writes while there is no standby (Patroni, synchronous_mode and synchronous_mode_strict)."""

    AVAILABILITY = "availability"
    STRICT = "strict"


class WatchdogMode(StrEnum):
    """Whether a frozen Patroni lets the host be reset (Patroni, watchdog.mode)."""

    AUTOMATIC = "automatic"
    REQUIRED = "required"
    OFF = "off"


class WitnessSettings(Settings):
    """The third member of etcd, which has a vote and no data.

    Attributes:
        host: Host of the stack that it runs on; it may serve something else, such as load balancing.
        address: IPv4 or IPv6 address that it binds and that others dial; default the host's internal address.
    """

    host: str
    address: IPv4Address | IPv6Address | None = None


class DatabaseSettings(Settings):
    """A database of an application, with the role that owns it.

    Attributes:
        name: Database.
        user: Role that owns it and logs in. The same one may own several databases.
        clients: Addresses and networks of the application servers.
        client_certificate: Whether the client has to show a certificate of the authority beside its password; default
            false.
        password: Password of the role (secret); default: generated, see `passwords`.
    """

    name: Identifier
    user: Identifier
    clients: Some[Network]
    client_certificate: bool = False
    password: SecretStr | None = None


class MemorySettings(Settings):
    """Memory (config.sgml, "Resource Consumption"). What is not given is sized on each host, from its memory.

    Attributes:
        shared_buffers: Default a quarter of the host's memory, at least 128MB. Takes effect by a restart.
        effective_cache_size: Default three quarters.
        maintenance_work_mem: Default a sixteenth, at most 2GB.
        work_mem: Of one sort or hash of one connection; default a quarter of the memory by `connections.limit`, from
            4MB to 64MB.
    """

    shared_buffers: Size | None = None
    effective_cache_size: Size | None = None
    maintenance_work_mem: Size | None = None
    work_mem: Size | None = None


class ConnectionSettings(Settings):
    """Connections (config.sgml, "Connections and Authentication").

    Attributes:
        port: TCP port, default 5432.
        limit: max_connections, default 200. Takes effect by a restart.
        reserved: superuser_reserved_connections, default 5; Patroni needs three.
        idle_in_transaction: After which a session that does nothing within a transaction is ended; default `10min`.
    """

    port: Port = 5432
    limit: int = Field(default=200, ge=25, le=10_000)
    reserved: int = Field(default=5, ge=3, le=100)
    idle_in_transaction: Duration = "10min"


class WalSettings(Settings):
    """The write-ahead log and its checkpoints (config.sgml, "Write Ahead Log").

    Attributes:
        max_size: max_wal_size, WAL between two checkpoints; default `4GB`.
        min_size: min_wal_size, kept for reuse; default `256MB`.
        keep_size: wal_keep_size, kept for standbys without a slot; default `512MB`.
        slot_limit: max_slot_wal_keep_size: what a slot may hold back before it is given up, so that a standby that
            stays away does not fill the disk; default `10GB`.
        checkpoint_timeout: Longest time between two checkpoints, default `15min`.
        compression: wal_compression: `off`, `pglz`, `lz4` (default) or `zstd`.
    """

    max_size: Size = "4GB"
    min_size: Size = "256MB"
    keep_size: Size = "512MB"
    slot_limit: Size = "10GB"
    checkpoint_timeout: Duration = "15min"
    compression: Annotated[str, Field(pattern=r"^(off|pglz|lz4|zstd)$")] = "lz4"


class FailoverSettings(Settings):
    """When the standby takes over (Patroni, "Dynamic Configuration Settings").

    The defaults are measured (docs/postgres_ha_pair.md). Patroni itself keeps `loop_wait + 2 * retry_timeout <= ttl`
    by lowering the others; here that is refused.

    Attributes:
        ttl: Seconds after which a leader that is not heard of has lost its lock, at least 20 (default).
        loop_wait: Seconds between two looks at everything, default 1.
        retry_timeout: Seconds for which Patroni tries to reach etcd or PostgreSQL before a leader gives up, default 6.
            With 3, a healthy primary gave up when the other host took etcd's leader along.
        primary_start_timeout: Seconds that a crashed primary may take to come back before the standby takes over;
            default 0: at once.
        maximum_lag: Data that a standby may lack and still take over, default `1MB`; the synchronous one lacks none.
    """

    ttl: int = Field(default=20, ge=20, le=600)
    loop_wait: int = Field(default=1, ge=1, le=60)
    retry_timeout: int = Field(default=6, ge=3, le=300)
    primary_start_timeout: int = Field(default=0, ge=0, le=3600)
    maximum_lag: Size = "1MB"

    @model_validator(mode="after")
    def _lease_is_long_enough(self) -> FailoverSettings:
        needed = self.loop_wait + 2 * self.retry_timeout
        if needed > self.ttl:
            text = (
                f"{self.ttl} is less than loopWait and twice retryTimeout, {needed}: a leader could outlive its lock;"
            )
            refuse([(("ttl",), f"{text} raise it, or lower the others")])
        return self


class ReplicationSettings(Settings):
    """How the standby follows.

    Attributes:
        mode: `availability` (default): a commit waits for the standby, and if there is none writes go on without it,
            which Patroni writes to its log; `strict`: then writes wait until there is one.
        timeout: Seconds of silence after which either end gives a replication connection up, default 5.
    """

    mode: Mode = Mode.AVAILABILITY
    timeout: int = Field(default=5, ge=1, le=600)


class EtcdSettings(Settings):
    """The three members of etcd.

    Attributes:
        client_port: Default 2379.
        peer_port: Default 2380.
        heartbeat_ms: Between two signs of life of etcd's leader, default 100: about a round trip between the hosts.
        election_ms: Silence after which another leader is chosen, default 1000: at least five heartbeats.
        leader_on_witness: Whether etcd's leader is brought to the witness while all members are well, default true: a
            server's host that is lost then takes no leader along, which would have to be elected anew first. False for
            a witness that is far from both servers.
        data_directory: Default `/var/lib/patroni-etcd`. (Debian's package removes `/var/lib/etcd` when it goes.)
    """

    client_port: Port = 2379
    peer_port: Port = 2380
    heartbeat_ms: int = Field(default=100, ge=10, le=10_000)
    election_ms: int = Field(default=1000, ge=50, le=50_000)
    leader_on_witness: bool = True
    data_directory: DirectoryPath = "/var/lib/patroni-etcd"


class VirtualIpSettings(Settings):
    """Addresses that the leader holds, and nobody else (KeepalivedVip).

    Both servers listen on them all the time (net.ipv4.ip_nonlocal_bind), and they go into both certificates.

    Attributes:
        addresses: IPv4 and IPv6 addresses, each with the prefix length of the network that it belongs to.
        interface: Network interface of both nodes that gets them, for example `eth0`.
        router_id: 1 to 255, unlike that of every other virtual router on the segment; default 51.
        hook: A command that is told of every change; default none. It cannot decide who leads.
        mail: Mail on every change; default none.
    """

    addresses: Some[VirtualAddress]
    interface: Interface
    router_id: RouterId = 51
    hook: NotifyHook | None = None
    mail: FailoverMail | None = None


class S3Settings(Settings):
    """A bucket that has the repository (pgBackRest, "Repository Options"). The witness alone knows how to get in.

    Attributes:
        bucket: Its name.
        endpoint: Host name of the service, such as `s3.eu-central-1.amazonaws.com`.
        region: Such as `eu-central-1`.
        key: Access key (secret).
        key_secret: Its secret (secret).
        port: Default 443.
        path_style: Whether the bucket is in the path and not in the host name, default false.
        authority: Certificates that the service's is verified by, in PEM; default: those that the host trusts.
    """

    bucket: Word
    endpoint: HostName
    region: Word
    key: PlainSecret
    key_secret: PlainSecret
    port: Port = 443
    path_style: bool = False
    authority: str | None = None


class RetentionSettings(Settings):
    """What is kept of backups; the WAL that they need is kept with them.

    Attributes:
        full: Full backups, default 2: with the default times the last week can be restored at any time.
        differential: Differential backups beside them; default: as long as their full one.
    """

    full: int = Field(default=2, ge=1, le=9_999_999)
    differential: int | None = Field(default=None, ge=1, le=9_999_999)


class BackupSettings(Settings):
    """Backups and archived WAL, by pgBackRest, in a repository that the witness keeps.

    Attributes:
        cipher_pass: Passphrase of the repository (secret), at least 20 characters. It cannot be changed later, and
            without it no backup can be read: keep it where it is found without the hosts and without the stack's state.
        directory: The repository's directory, on the witness or in the bucket; default `/var/lib/pgbackrest`.
        s3: The bucket that has it; default none.
        full: When full backups begin, as systemd.time(7) writes it; default `Sun 01:00`.
        differential: When differential ones begin, default `Mon..Sat 01:00`.
        retention: What is kept.
        archive_timeout: A WAL segment that is not full goes to the repository after so long, default `5min`.
        queue_limit: WAL that waits for a repository that does not take it, before it is given up so that it does not
            fill the primary's disk; default `10GB`. What is given up leaves a gap until the next backup.
        max_age: Age of the newest backup from which on `make verify` fails, default `2d`.
        processes: Processes that compress and copy at a time, default 2.
        port: TLS port of pgBackRest on all three hosts, default 8432.
        bootstrap: What a pair that is made anew begins with: `latest`, all that the repository has, or a time with its
            zone, such as `2030-01-31 12:00:00+00`; default: nothing. Where there is data, or a cluster that etcd knows
            of, it changes nothing.
    """

    cipher_pass: Annotated[SecretStr, AfterValidator(_passphrase)]
    directory: DirectoryPath = "/var/lib/pgbackrest"
    s3: S3Settings | None = None
    full: Calendar = "Sun 01:00"
    differential: Calendar = "Mon..Sat 01:00"
    retention: RetentionSettings = RetentionSettings()
    archive_timeout: Duration = "5min"
    queue_limit: Size = "10GB"
    max_age: Duration = "2d"
    processes: int = Field(default=2, ge=1, le=999)
    port: Port = 8432
    bootstrap: Beginning | None = None


class FenceSettings(Settings):
    """A command that confirms that the other node's host is off, so that nobody has to wait for its lease to end.

    It is run on the standby, with the name and the address of the former leader as its last two arguments, and only
    while that one answers nothing at all, etcd has its majority, the standby has all that was confirmed, and failover
    is not paused. Exit code 0 says: nothing that ran on that host runs any more, because its power is off, or it was
    reset. Everything else, and too long a time, says nothing.

    Attributes:
        command: Absolute path of the program, then its first arguments, without `$`, `%` and blanks.
        user: Whose rights it has, default `nobody`.
        timeout: Seconds that it may take, default 10; then it is killed, and all that it has started.
        silence: Seconds without any answer before it is run, default 3.
    """

    command: Some[Argument]
    user: Annotated[str, AfterValidator(account_name)] = "nobody"
    timeout: int = Field(default=10, ge=1, le=300)
    silence: int = Field(default=3, ge=1, le=60)

    @model_validator(mode="after")
    def _is_a_program(self) -> FenceSettings:
        if not self.command[0].startswith("/"):
            refuse([(("command", 0), f"{self.command[0]!r} is no program: give its absolute path")])
        return self


class PostgresHaSettings(Settings):
    """Two PostgreSQL servers under Patroni, and a witness.

    Attributes:
        name: Name of the pair, default `postgres`; Patroni's scope and the last part of the data directory.
        nodes: The two servers; the first one is the first primary.
        witness: The third vote. Without it there is no automatic failover that is safe, and so none.
        version: Major version of PostgreSQL, 15 to 18, default 17.
        databases: Databases of applications, with their owners and application servers.
        names: DNS names and addresses that lead to whoever is the primary, such as a virtual IP's; they go into both
            certificates.
        virtual_ip: Addresses that the leader holds; default none.
        virtual_addresses: The same for addresses that something else moves, such as a cloud: both servers listen on
            them all the time, and they go into both certificates.
        connections: Port and limits.
        memory: Memory; sized from the host by default.
        wal: The write-ahead log.
        failover: When the standby takes over.
        replication: How the standby follows.
        etcd: Ports and timings of etcd.
        rest_port: TLS port of Patroni's REST API, default 8008.
        rest_clients: Addresses and networks that may ask it, beside the nodes, such as load balancers; default none.
        parameters: Further parameters of PostgreSQL by name, without those that this component sets.
        passwords: Generations of generated passwords. Two at most are accepted at a time, one after the other.
        certificates: Kind of key, validity and renewal of the nodes' and the client's certificates.
        backup: Backups and archived WAL; default none.
        fence: A command that confirms that a lost leader's host is off; default none.
        watchdog: `automatic` (default: where postgres may open /dev/watchdog), `required` or `off`.
        data_directory: Default `/var/lib/postgresql/<version>/<name>`.
        adopt: Host that has a cluster in its data directory already which becomes the pair's; default none.
        remove_data: Whether the data goes when the pair leaves the stack; default false.
        settle_seconds: How long a node may take until it serves and is in sync, a first copy included; default 300.
    """

    name: Annotated[str, AfterValidator(_pair_name)] = "postgres"
    nodes: Some[ServerNode]
    witness: WitnessSettings | None = None
    version: int = Field(default=17, ge=15, le=18)
    databases: tuple[DatabaseSettings, ...] = ()
    names: tuple[HostName, ...] = ()
    virtual_ip: VirtualIpSettings | None = None
    virtual_addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    connections: ConnectionSettings = ConnectionSettings()
    memory: MemorySettings = MemorySettings()
    wal: WalSettings = WalSettings()
    failover: FailoverSettings = FailoverSettings()
    replication: ReplicationSettings = ReplicationSettings()
    etcd: EtcdSettings = EtcdSettings()
    rest_port: Port = 8008
    rest_clients: tuple[Network, ...] = ()
    parameters: Mapping[Parameter, str | int | float | bool] = Field(default_factory=dict)
    passwords: PasswordSettings = PasswordSettings()
    certificates: CertificateSettings = CertificateSettings()
    backup: BackupSettings | None = None
    fence: FenceSettings | None = None
    watchdog: WatchdogMode = WatchdogMode.AUTOMATIC
    data_directory: DirectoryPath | None = None
    adopt: str | None = None
    remove_data: bool = False
    settle_seconds: int = Field(default=300, ge=30, le=604_800)

    @property
    def data(self) -> str:
        """`data_directory` with its default."""
        return self.data_directory or f"/var/lib/postgresql/{self.version}/{self.name}"

    @property
    def held_addresses(self) -> tuple[IPv4Address | IPv6Address, ...]:
        """Addresses of `virtual_ip`."""
        return tuple(vip.ip for vip in self.virtual_ip.addresses) if self.virtual_ip else ()

    @property
    def leader_addresses(self) -> tuple[IPv4Address | IPv6Address, ...]:
        """Addresses that a node has only while it leads, whoever moves them."""
        return tuple(dict.fromkeys((*self.held_addresses, *self.virtual_addresses)))

    @property
    def common_name(self) -> str:
        """Common name of all members' certificates: etcd takes nobody else for a peer (--peer-cert-allowed-cn)."""
        return f"{self.name} member"

    @property
    def users(self) -> tuple[str, ...]:
        """Roles of applications, each once."""
        return tuple(dict.fromkeys(database.user for database in self.databases))

    def given_password(self, user: str) -> SecretStr | None:
        """Return the password that an application's role was given; None for a generated one."""
        return next((each.password for each in self.databases if each.user == user and each.password), None)

    @model_validator(mode="after")
    def _fits_together(self) -> PostgresHaSettings:
        refuse([*self._hosts(), *self._applications(), *self._ports(), *self._sizes(), *self._generations()])
        return self

    def _hosts(self) -> Iterator[Problem]:
        hosts = [node.host for node in self.nodes]
        if len(hosts) != _DATA_NODES:
            yield ("nodes",), f"{len(hosts)} hosts: a pair has two; list two"
        if len(set(hosts)) != len(hosts):
            yield ("nodes", 1, "host"), f"{hosts[1]!r} would be lost with the first one: name another host"
        if self.witness is None:
            text = "is missing: of two hosts that lose sight of each other neither can tell that the other one is gone,"
            yield ("witness",), f"{text} so there is no automatic failover without a third vote: name a host"
        elif self.witness.host in hosts:
            yield ("witness", "host"), f"{self.witness.host!r} has a vote already: name a third host"
        if self.adopt is not None and self.adopt not in hosts:
            yield ("adopt",), f"{self.adopt!r} is none of the nodes: name one of {', '.join(hosts)}"
        if self.adopt is not None and self.adopt in hosts[1:]:
            yield ("adopt",), f"{self.adopt!r} has to be the first primary: list it first in nodes"
        if self.adopt is not None and self.backup and self.backup.bootstrap:
            text = f"{self.backup.bootstrap!r} with adopt ({self.adopt}): the pair begins with that host's data"
            yield ("backup", "bootstrap"), f"{text} or with a backup; leave one out"

    def _applications(self) -> Iterator[Problem]:
        names = [database.name for database in self.databases]
        for at, database in enumerate(self.databases):
            if database.name in names[:at]:
                yield ("databases", at, "name"), f"{database.name!r} is listed twice: remove one"
            if database.name in _RESERVED_DATABASES:
                yield ("databases", at, "name"), f"{database.name!r} means something else: choose another name"
            own = {*logins(REPLICATION), *logins(REWIND), *_RESERVED_USERS}
            if database.user in own or database.user.endswith(_ALTERNATE):
                yield ("databases", at, "user"), f"{database.user!r} means something else: choose another name"
            if database.password is not None and not _PASSWORD.fullmatch(database.password.get_secret_value()):
                text = (
                    "is empty or has more than printable ASCII, which clients would not all spell alike: give another"
                )
                yield ("databases", at, "password"), f"{text} one, or none to have one generated"
            earlier = [each for each in self.databases[:at] if each.user == database.user]
            if database.password is not None and any(each.password != database.password for each in earlier):
                text = f"{database.user!r} has one password: give it with its first database only"
                yield ("databases", at, "password"), text

    def _ports(self) -> Iterator[Problem]:
        used: dict[int, str] = {}
        for where, port in (
            (("connections", "port"), self.connections.port),
            (("restPort",), self.rest_port),
            (("etcd", "clientPort"), self.etcd.client_port),
            (("etcd", "peerPort"), self.etcd.peer_port),
            *([(("backup", "port"), self.backup.port)] if self.backup else []),
        ):
            if port in used:
                yield where, f"{port} is {used[port]} already: use another one"
            used[port] = ".".join(where)

    def _sizes(self) -> Iterator[Problem]:
        if kilobytes(self.wal.min_size) > kilobytes(self.wal.max_size):
            yield ("wal", "minSize"), f"{self.wal.min_size} is more than maxSize ({self.wal.max_size}): lower it"
        if kilobytes(self.wal.keep_size) > kilobytes(self.wal.slot_limit):
            yield ("wal", "slotLimit"), f"{self.wal.slot_limit} is less than keepSize ({self.wal.keep_size}): raise it"
        if self.connections.reserved >= self.connections.limit:
            text = f"{self.connections.reserved} of {self.connections.limit} leaves none to applications: lower it"
            yield ("connections", "reserved"), text
        if self.fence and self.fence.silence + self.fence.timeout >= self.failover.ttl:
            text = f"{self.fence.timeout} with silence ({self.fence.silence}) is no less than failover.ttl"
            yield ("fence", "timeout"), f"{text} ({self.failover.ttl}), after which nobody asks: lower it"
        if self.etcd.election_ms < 5 * self.etcd.heartbeat_ms:
            text = f"{self.etcd.election_ms} is less than five heartbeats of {self.etcd.heartbeat_ms} ms: raise it"
            yield ("etcd", "electionMs"), text

    def _generations(self) -> Iterator[Problem]:
        generations = self.passwords.generations
        if len(generations) != len({each % 2 for each in generations}):
            text = (
                f"{list(self.passwords.accepted)}: an account has two roles of one password each, one for odd and one"
            )
            yield ("passwords", "accepted"), f"{text} for even generations: leave one out"
