"""What a load balancer is told, in HAProxy's own words, and what cannot work, told before any host is touched."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from components.haproxy_load_balancer.notation import (
    AclUser,
    Address,
    BindAddress,
    CertificateName,
    Name,
    Network,
    Reason,
    ServerAddress,
    Size,
    Some,
    Time,
    Variable,
    milliseconds,
)
from components.names import bracketed, is_address
from components.settings import Port, Settings

#: Socket that answers, with `readiness`, whoever asks whether HAProxy works.
READINESS: Final = "/run/haproxy/ready.sock"

_LOOPBACK: Final = "127.0.0.1"
_WILDCARDS: Final = ("*", "0.0.0.0", "::")  # noqa: S104 - to recognise them

Location = tuple[int | str, ...]
Problem = tuple[Location, str]
Place = tuple[str, int]


def _overlap(one: Place, other: Place) -> bool:
    """Tell whether two listeners would take the same connections."""
    (address, port), (other_address, other_port) = one, other
    if port != other_port:
        return False
    same_family = (":" in address) == (":" in other_address)
    return address == other_address or (same_family and (address in _WILDCARDS or other_address in _WILDCARDS))


def _is_loopback(address: str) -> bool:
    return is_address(address) and ipaddress.ip_address(address).is_loopback


def _twice(names: Sequence[str], *path: str) -> Iterator[Problem]:
    kind, key = path
    for number, name in enumerate(names):
        if (first := names.index(name)) != number:
            yield (kind, number, key), f"{name!r} is the name of {kind}[{first}] too: give each its own"


def _refuse(model: str, problems: Iterable[Problem]) -> None:
    """Raise one error that carries every problem at its own property path."""
    lines = [
        InitErrorDetails(type="value_error", loc=where, input=None, ctx={"error": ValueError(text)})
        for where, text in problems
    ]
    if lines:
        raise ValidationError.from_exception_data(model, lines)


class Listener(NamedTuple):
    """A place where HAProxy listens."""

    address: str
    port: int
    transparent: bool = False

    @property
    def endpoint(self) -> str:
        """`address:port`."""
        return f"{bracketed(self.address)}:{self.port}"


class Balance(StrEnum):
    """How a server is chosen (`balance`)."""

    ROUNDROBIN = "roundrobin"
    LEASTCONN = "leastconn"
    SOURCE = "source"


class StickBy(StrEnum):
    """By what a client is recognised again."""

    SOURCE = "source"
    SSL_SESSION_ID = "sslSessionId"


class Protocol(StrEnum):
    """What a health check speaks."""

    TCP = "tcp"
    REDIS = "redis"


class OnError(StrEnum):
    """What `errorLimit` failed connections in a row do to a server (`on-error`)."""

    FASTINTER = "fastinter"
    FAIL_CHECK = "fail-check"
    SUDDEN_DEATH = "sudden-death"
    MARK_DOWN = "mark-down"


class LogLevel(StrEnum):
    """Least severe messages that are logged; connections are `info`, servers going up and down `notice` and above."""

    DEBUG = "debug"
    INFO = "info"
    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "err"


class Bind(Settings):
    """An address and port that a frontend listens on (`bind`).

    Attributes:
        port: TCP port.
        address: Where to listen, default `127.0.0.1`.
        exposed_because: Who connects from elsewhere. Without it, only loopback addresses are taken.
        sources: Addresses and networks from which they do, for the host's firewall; default: everybody.
        accept_proxy: Whether every connection has to begin with a PROXY protocol header, default false.
            Only on loopback; for other addresses name the senders in the frontend's `expectProxyFrom`.
        transparent: Whether to listen although the host does not hold the address yet, default false: for a virtual IP
            that moves between hosts.
    """

    port: Port
    address: BindAddress = _LOOPBACK
    exposed_because: Reason | None = None
    sources: Some[Network] | None = None
    accept_proxy: bool = False
    transparent: bool = False

    @property
    def wildcard(self) -> bool:
        """Whether it listens on every address of a family."""
        return self.address in _WILDCARDS

    @property
    def loopback(self) -> bool:
        """Whether nobody but this host can connect."""
        return _is_loopback(self.address)

    @property
    def ipv6(self) -> bool:
        """Whether it listens on IPv6."""
        return ":" in self.address

    @property
    def endpoint(self) -> str:
        """`address:port`."""
        return f"{bracketed(self.address)}:{self.port}"

    def takes(self, server: Server) -> bool:
        """Tell whether a connection to a server would arrive here."""
        here = server.address == self.address or (self.wildcard and server.loopback)
        return here and server.port == self.port

    @model_validator(mode="after")
    def _said(self) -> Bind:
        if not self.loopback and self.exposed_because is None:
            kind = "every address of the host" if self.wildcard else "an address that other hosts reach"
            _refuse(
                "Bind", [(("address",), f"{self.address!r} is {kind}: use '127.0.0.1' or '::1', or set exposedBecause")]
            )
        if self.loopback and self.exposed_because is not None:
            _refuse("Bind", [(("exposedBecause",), f"{self.address!r} is loopback, nobody reaches it: remove the key")])
        if self.loopback and self.sources is not None:
            _refuse("Bind", [(("sources",), f"{self.address!r} is loopback, nobody reaches it: remove the key")])
        if not self.loopback and self.accept_proxy:
            fix = "anyone could forge a client's address: name the senders in the frontend's expectProxyFrom instead"
            _refuse("Bind", [(("acceptProxy",), fix)])
        return self


class Frontend(Settings):
    """Where clients connect (`frontend`).

    Attributes:
        name: Name in logs and statistics.
        binds: Addresses and ports, at least one.
        default_backend: The backend that serves it.
        timeout_client: How long a client may be silent; default `timeouts.client`.
        tls_only: Whether a client that does not open with a TLS ClientHello is turned away before any server sees it.
            Default: true as soon as one bind is exposed, so that pass-through never carries plaintext.
        expect_proxy_from: Networks whose connections begin with a PROXY protocol header (v1 or v2); others are plain.
    """

    name: Name
    binds: Some[Bind]
    default_backend: Name
    timeout_client: Time | None = None
    tls_only: bool | None = None
    expect_proxy_from: tuple[Network, ...] = ()

    @property
    def requires_tls(self) -> bool:
        """`tls_only` with its default."""
        return any(not bind.loopback for bind in self.binds) if self.tls_only is None else self.tls_only

    @property
    def sees_clients(self) -> bool:
        """Whether the source addresses it sees tell clients apart."""
        return bool(self.expect_proxy_from) or any(bind.accept_proxy or not bind.loopback for bind in self.binds)

    @property
    def sees_ipv6(self) -> bool:
        """Whether a client's address may be IPv6; a PROXY header may carry either."""
        return bool(self.expect_proxy_from) or any(bind.ipv6 or bind.accept_proxy for bind in self.binds)


class HealthCheck(Settings):
    """How a server is found to be alive (`tcp-check`).

    Attributes:
        protocol: `tcp` (default): the port takes a connection. Through an SSH tunnel that proves the local end only.
            `redis`: Redis or Valkey answers PING, end to end.
        password: Environment variable that holds the password for AUTH; its value comes as a secret.
        without_password: Says that the servers ask for none, default false. One of the two is needed for `redis`.
        user: ACL user for AUTH; default: Redis's `default` user.
        role: `master`: only the server that INFO calls master is up, for replicas behind one address.
        tls: Whether a `redis` check speaks TLS, default false: it shows `check_certificate`, and tells its password to
            no server but one with a certificate of `check_authority` and with the name that it is to have.
    """

    protocol: Protocol = Protocol.TCP
    password: Variable | None = None
    without_password: bool = False
    user: AclUser | None = None
    role: Literal["master"] | None = None
    tls: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> HealthCheck:
        problems: list[Problem] = []
        if self.protocol is Protocol.TCP:
            given = {"password": self.password, "withoutPassword": self.without_password}
            given |= {"user": self.user, "role": self.role, "tls": self.tls}
            problems += [
                ((key,), "a tcp check sends nothing: remove it, or set protocol: redis") for key in given if given[key]
            ]
        elif self.without_password and self.password:
            problems.append((("withoutPassword",), f"contradicts password {self.password!r}: remove one of the two"))
        elif not self.without_password and self.password is None:
            fix = "a redis check has to log in: name the variable of its secret, or set withoutPassword: true"
            problems.append((("password",), fix))
        if self.user and self.without_password:
            problems.append(
                (("user",), f"{self.user!r} cannot log in without a password: name its variable in password")
            )
        _refuse("HealthCheck", problems)
        return self


class Stick(Settings):
    """Whether a client comes back to the server that it had (`stick on`).

    Attributes:
        by: `source` (default): the client's address. `sslSessionId`: the id of its TLS session, which tells apart
            clients behind one address, but only in TLS 1.2 with session ids: in TLS 1.3 the field is a random value
            that the server merely echoes, new in every handshake, and with session tickets it is the client's own
            invention. Such clients are balanced as if there were no stickiness, and the table fills with their ids.
        size: Entries that the table holds, default `100k` (about 50 bytes each for `source`).
        expire: How long an entry is kept after its last use, default `30m`.
    """

    by: StickBy = StickBy.SOURCE
    size: Size = "100k"
    expire: Time = "30m"


class DefaultServer(Settings):
    """What all servers of a backend have in common (`default-server`).

    Checks come every `inter` while a server is well, every `downinter` while it is down, every `fastinter` in between.

    Attributes:
        inter: Time between checks of a server that is up, default `10s`.
        downinter: The same of one that is down, default `5s`.
        fastinter: The same of one that is about to change, default `1s`.
        rise: Passed checks until it is up, default 2.
        fall: Failed checks until it is down, default 2.
        slowstart: Time in which a recovered server gets back to its full weight, default `60s`; null: at once.
        maxconn: Connections to one server at a time, default 1000; more wait.
        maxqueue: Connections that wait for one server, default 1024; more go to another.
        weight: Share of a server, 0 to 256, default 100.
        observe: `layer4` (default): failed connections of clients count as hints; null: only checks count.
        error_limit: Failed connections in a row that trigger `on_error`, default 1.
        on_error: What they do, default `fastinter`: the next checks come every `fastinter` and decide. The other modes
            count as failed checks themselves.
        on_marked_down: What becomes of the connections to a server that goes down. null (default): they stay until one
            of their ends, or the tunnel between, closes them. `shutdown-sessions`: they are cut at once, which frees
            clients from a server that is frozen or no longer the master; but HAProxy 3.0 forgets those clients whose
            connection to the server is just being made, they hang until they give up.
    """

    inter: Time = "10s"
    downinter: Time = "5s"
    fastinter: Time = "1s"
    rise: int = Field(default=2, ge=1, le=100)
    fall: int = Field(default=2, ge=1, le=100)
    slowstart: Time | None = "60s"
    maxconn: int = Field(default=1000, ge=1, le=1_000_000)
    maxqueue: int = Field(default=1024, ge=1, le=1_000_000)
    weight: int = Field(default=100, ge=0, le=256)
    observe: Literal["layer4"] | None = "layer4"
    error_limit: int = Field(default=1, ge=1, le=1000)
    on_error: OnError = OnError.FASTINTER
    on_marked_down: Literal["shutdown-sessions"] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> DefaultServer:
        problems: list[Problem] = []
        if milliseconds(self.fastinter) > milliseconds(self.inter):
            text = f"is longer than inter {self.inter!r}: a server about to change is checked more often, not less"
            problems.append((("fastinter",), f"{self.fastinter!r} {text}"))
        if self.observe and self.on_error is not OnError.FASTINTER and self.on_marked_down:
            # Seen with 3.0.11, every time: the connection that brings its server down is neither served nor closed.
            text = (
                "leaves the client hanging whose connection takes a server down: use 'fastinter', or onMarkedDown: null"
            )
            problems.append((("onError",), f"{self.on_error.value!r} with shutdown-sessions {text}"))
        _refuse("DefaultServer", problems)
        return self


class Server(Settings):
    """One server (`server`).

    Attributes:
        name: Name in logs and statistics; the same on both load balancers where they are peers.
        port: TCP port.
        address: IP address, or a DNS name, which HAProxy resolves when it starts or reloads; default `127.0.0.1`.
        weight: Share of this server, 0 to 256; 0 drains it. Default: the backend's.
        backup: Whether it serves only while no other server is up, default false.
        disabled: Whether it is out of service and not checked, default false.
        certificate_name: DNS name or common name that its certificate has to carry for a check with `tls`; HAProxy
            compares names and never addresses. Default: `address` where that is a DNS name.
    """

    name: Name
    port: Port
    address: ServerAddress = _LOOPBACK
    weight: int | None = Field(default=None, ge=0, le=256)
    backup: bool = False
    disabled: bool = False
    certificate_name: CertificateName | None = None

    @property
    def verified_name(self) -> str | None:
        """`certificate_name` with its default."""
        return self.certificate_name or (None if is_address(self.address) else self.address)

    @property
    def server_name(self) -> str | None:
        """What a check asks for in its TLS ClientHello (SNI): the name, if that can be a DNS name."""
        return self.verified_name if self.verified_name and " " not in self.verified_name else None

    @property
    def endpoint(self) -> str:
        """`address:port`."""
        return f"{bracketed(self.address)}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether it is on this host."""
        return _is_loopback(self.address)


class Backend(Settings):
    """Servers that do the same work (`backend`).

    Attributes:
        name: Name in logs and statistics.
        servers: At least one.
        balance: `roundrobin` (default), `leastconn` (for connections that last) or `source` (by the client's address).
        health_check: How servers are checked.
        default_server: What they have in common.
        stick: Stickiness; default none.
        send_proxy: `v1` or `v2`: begin each connection with a PROXY protocol header; default none.
        timeout_server: How long a server may be silent; default `timeouts.server`.
    """

    name: Name
    servers: Some[Server]
    balance: Balance = Balance.ROUNDROBIN
    health_check: HealthCheck = HealthCheck()
    default_server: DefaultServer = DefaultServer()
    stick: Stick | None = None
    send_proxy: Literal["v1", "v2"] | None = None
    timeout_server: Time | None = None

    @model_validator(mode="after")
    def _servers_differ(self) -> Backend:
        problems = [*_twice([server.name for server in self.servers], "servers", "name")]
        places = [(server.address, server.port) for server in self.servers]
        for number, place in enumerate(places):
            if (first := places.index(place)) != number:
                other = self.servers[first].name
                problems.append((("servers", number), f"is the same place as server {other!r}: give each its own"))
        if self.send_proxy and self.health_check.protocol is Protocol.REDIS:
            fix = "Redis and Valkey do not read the PROXY protocol: remove it"
            problems.append((("sendProxy",), f"{self.send_proxy!r}: {fix}"))
        problems += self._certificate_names()
        if all(server.disabled for server in self.servers):
            problems.append((("servers",), "every server is disabled: leave one in service"))
        _refuse("Backend", problems)
        return self

    def _certificate_names(self) -> Iterator[Problem]:
        for number, server in enumerate(self.servers):
            where = ("servers", number, "certificateName")
            if not self.health_check.tls and server.certificate_name:
                text = "no check looks at it: set healthCheck.tls: true, or remove it"
                yield where, f"{server.certificate_name!r}: {text}"
            elif self.health_check.tls and server.verified_name is None:
                text = "needs a name, since HAProxy compares no addresses: give a DNS name or the common name"
                yield where, f"the certificate of {server.endpoint!r} {text} that it has"


class Peer(Settings):
    """One of the load balancers that share their stick tables (`peers`).

    Attributes:
        name: Its name; by default each load balancer goes by the name of its host in the stack.
        address: IP address on which it listens for the others.
        port: TCP port, default 10000.
        certificate_name: DNS name that its certificate has to carry; default: any certificate of the authority will do.
    """

    name: Name
    address: Address
    port: Port = 10000
    certificate_name: ServerAddress | None = None

    @property
    def endpoint(self) -> str:
        """`address:port`."""
        return f"{bracketed(self.address)}:{self.port}"


class Peers(Settings):
    """Load balancers that tell each other which client has which server.

    Attributes:
        members: All of them, two or more, the same list on each.
        name: Name of the section, default `load_balancers`.
        tls: Whether they authenticate and encrypt with certificates, default true. Only where every member is reached
            on loopback, through an SSH tunnel, can it be false.
    """

    members: tuple[Peer, ...]
    name: Name = "load_balancers"
    tls: bool = True

    @model_validator(mode="after")
    def _members_fit(self) -> Peers:
        problems = [*_twice([member.name for member in self.members], "members", "name")]
        if len(self.members) < 2:  # noqa: PLR2004 - a pair
            fix = "name two or more load balancers; one alone needs no peers, its tables survive a reload anyway"
            problems.append((("members",), f"{len(self.members)} given: {fix}"))
        for number, member in enumerate(self.members):
            if not self.tls and not _is_loopback(member.address):
                fix = "would send the tables in plaintext: set tls: true, or reach it through an SSH tunnel on loopback"
                problems.append((("members", number, "address"), f"{member.address!r} {fix}"))
        _refuse("Peers", problems)
        return self


class Timeouts(Settings):
    """How long to wait (`timeout` in `defaults`).

    Attributes:
        connect: For a server to take a connection, default `5s`.
        client: For a silent client, default `10800s` (3 hours): pooled connections are idle most of the time.
        server: For a silent server, default `10800s`.
        queue: For a free place at a server, default `60s`.
        check: For the answer of a health check, default `2s`.
        fin: For the other side of a connection that is already closed on one, default `30s`.
    """

    connect: Time = "5s"
    client: Time = "10800s"
    server: Time = "10800s"
    queue: Time = "60s"
    check: Time = "2s"
    fin: Time = "30s"


class HaproxySettings(Settings):
    """One HAProxy on one host.

    Attributes:
        frontends: Where clients connect.
        backends: What serves them.
        timeouts: How long to wait.
        peers: Load balancers that share stick tables; default: this one alone.
        local_peer_port: Loopback port on which a reloaded process takes the stick tables over, default 10000. Only used
            where there is stickiness and no `peers`.
        maxconn: Connections of the whole process; default: what the limit of open files allows.
        retries: Attempts to connect, the last ones to another server; default 3.
        hard_stop_after: How long a process that was reloaded stays for the connections it still has, default `3h`.
        log_level: Least severe messages that reach the journal, default `info`: every connection.
        readiness: Whether any account of the host can ask a socket whether HAProxy works, default false: what a virtual
            IP's health check needs (`haproxy_ready`).
    """

    frontends: Some[Frontend]
    backends: Some[Backend]
    timeouts: Timeouts = Timeouts()
    peers: Peers | None = None
    local_peer_port: Port = 10000
    maxconn: int | None = Field(default=None, ge=1, le=10_000_000)
    retries: int = Field(default=3, ge=0, le=100)
    hard_stop_after: Time = "3h"
    log_level: LogLevel = LogLevel.INFO
    readiness: bool = False

    @property
    def passwords(self) -> frozenset[str]:
        """Variables whose values have to come as secrets."""
        return frozenset(each.health_check.password for each in self.backends if each.health_check.password)

    @property
    def checked_by_tls(self) -> tuple[int, ...]:
        """Which backends are checked by TLS."""
        return tuple(number for number, backend in enumerate(self.backends) if backend.health_check.tls)

    @property
    def sticky(self) -> bool:
        """Whether any backend keeps a stick table."""
        return any(backend.stick for backend in self.backends)

    def frontends_of(self, backend: Backend) -> list[Frontend]:
        """Frontends that lead to a backend."""
        return [frontend for frontend in self.frontends if frontend.default_backend == backend.name]

    def listeners(self, local_peer: str) -> list[Listener]:
        """Every place where it listens for connections.

        Args:
            local_peer: Name of this load balancer among its peers.
        """
        binds = [bind for frontend in self.frontends for bind in frontend.binds]
        places = [Listener(bind.address, bind.port, bind.transparent) for bind in binds]
        if self.peers:
            places += [Listener(each.address, each.port) for each in self.peers.members if each.name == local_peer]
        elif self.sticky:
            places.append(Listener(_LOOPBACK, self.local_peer_port))
        return places

    @model_validator(mode="after")
    def _fits_together(self) -> HaproxySettings:
        problems = [
            *_twice([frontend.name for frontend in self.frontends], "frontends", "name"),
            *_twice([backend.name for backend in self.backends], "backends", "name"),
            *self._references(),
            *self._binds(),
        ]
        for number, backend in enumerate(self.backends):
            problems += [(("backends", number, *where), text) for where, text in self._backend(backend)]
        if self.peers and not self.sticky:
            problems.append((("peers",), "there is no stick table to share: give a backend stick, or remove peers"))
        _refuse("HaproxySettings", problems)
        return self

    def _references(self) -> Iterator[Problem]:
        known = [backend.name for backend in self.backends]
        wanted = [frontend.default_backend for frontend in self.frontends]
        for number, name in enumerate(wanted):
            if name not in known:
                yield ("frontends", number, "defaultBackend"), f"{name!r} is no backend: use one of {', '.join(known)}"
        if set(wanted) <= set(known):  # else the one is probably the other, misspelt
            for number, name in enumerate(known):
                if name not in wanted:
                    text = f"{name!r} serves no frontend: name it as a defaultBackend, or remove it"
                    yield ("backends", number, "name"), text

    def _binds(self) -> Iterator[Problem]:
        # Linux would let two listeners of one process share a port, each taking connections at random.
        taken = self._peer_places()
        for number, frontend in enumerate(self.frontends):
            for position, bind in enumerate(frontend.binds):
                place = (bind.address, bind.port)
                if other := next((path for path, known in taken if _overlap(place, known)), None):
                    text = f"{bind.endpoint!r} is taken by {other}: give each its own address or port"
                    yield ("frontends", number, "binds", position), text
                taken.append((f"frontends[{number}].binds[{position}]", place))

    def _peer_places(self) -> list[tuple[str, Place]]:
        if self.peers is None:
            return [("localPeerPort", (_LOOPBACK, self.local_peer_port))] if self.sticky else []
        return [
            (f"peers.members[{number}]", (member.address, member.port))
            for number, member in enumerate(self.peers.members)
        ]

    def _backend(self, backend: Backend) -> Iterator[Problem]:
        frontends = self.frontends_of(backend)
        binds = [bind for frontend in frontends for bind in frontend.binds]
        for number, server in enumerate(backend.servers):
            if any(bind.takes(server) for bind in binds):
                text = f"{server.endpoint!r} is where its own frontend listens: HAProxy would call itself"
                yield ("servers", number), text
        if not frontends or any(frontend.sees_clients for frontend in frontends):
            return
        by_source = {
            "stick": backend.stick is not None and backend.stick.by is StickBy.SOURCE,
            "balance": backend.balance is Balance.SOURCE,
        }
        for key in (key for key, used in by_source.items() if used):
            text = "its frontends listen on loopback and see one client only, so one server would get everything"
            yield (key,), f"{text}: remove it, or let the sender tell the client's address by the PROXY protocol"
