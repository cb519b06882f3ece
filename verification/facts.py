"""What a host really has, parsed from what `facts.sh` told."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from policies.parsers.addresses import is_loopback
from verification.model import Endpoint

SCRIPT: Final = (Path(__file__).parent / "facts.sh").read_text()

_PROCESS: Final = re.compile(r'\("([^"]+)",pid=')
_SOURCE: Final = re.compile(r"\bsrc=(\S+) fe=(\S+) ")


class FactsError(Exception):
    """What the host told cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask a host, as `facts.sh` lists them."""

    kind: str
    arguments: tuple[str, ...]

    def __init__(self, kind: str, *arguments: str) -> None:
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "arguments", arguments)

    def __str__(self) -> str:
        """Write the line that the script reads."""
        return "\t".join((self.kind, *self.arguments))


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A socket that takes connections or datagrams.

    Attributes:
        protocol: `tcp` or `udp`.
        endpoint: Where it listens.
        processes: Names of the processes that have it.
    """

    protocol: str
    endpoint: Endpoint
    processes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Stat:
    """What the host's file system says of a path.

    Attributes:
        kind: For example `regular file`.
        mode: Permission bits, four digits.
        owner: `user:group`.
    """

    kind: str
    mode: str
    owner: str


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user as the host has it.

    Attributes:
        shell: Login shell; empty where there is no such user.
        locked: Whether no password opens it.
    """

    shell: str
    locked: bool


@dataclass(frozen=True, kw_only=True)
class Session:
    """A connection that HAProxy serves.

    Attributes:
        source: Where the client is.
        frontend: Where it came in.
    """

    source: str
    frontend: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One host.

    Attributes:
        listeners: Everything that listens.
        connections: Near and far end of every established TCP connection.
        interfaces: Its addresses that others may dial, each with its network's prefix; link-local ones, which mean
            nothing without a zone, are left out.
        stats: What is at each path that was asked for; absent paths are missing.
        sums: SHA-256 by path.
        texts: Text by path.
        names: Paths in the folders that were asked for.
        units: What systemd shows, by every name of a unit.
        uptime: Seconds since boot, in systemd's monotonic clock.
        accounts: Users by name.
        sshd: Effective options by user and address, keywords in lower case.
        sessions: HAProxy's sessions by the path of its socket.
        tables: What only the kernel (`+`) or only the file (`-`) has, by path of a file of nft; empty where they agree.
        members: How members of groups of servers are, by their command: lines that begin with `+` (well) or `-` (not).
        keepalived: What keepalived says of itself, JSON by its script.
        failures: Last words of what could not be told, by kind and arguments.
    """

    listeners: tuple[Listener, ...] = ()
    connections: tuple[tuple[Endpoint, Endpoint], ...] = ()
    interfaces: tuple[str, ...] = ()
    stats: Mapping[str, Stat] = field(default_factory=dict)
    sums: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    units: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    uptime: float = 0.0
    accounts: Mapping[str, Account] = field(default_factory=dict)
    sshd: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    sessions: Mapping[str, tuple[Session, ...]] = field(default_factory=dict)
    tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keepalived: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[tuple[str, ...], str] = field(default_factory=dict)

    @property
    def addresses(self) -> tuple[str, ...]:
        """`interfaces` without prefixes."""
        return tuple(each.partition("/")[0] for each in self.interfaces)


def ask(questions: Iterable[Question]) -> str:
    """Write the standard input of the script."""
    return "".join(f"{line}\n" for line in ("ask", *dict.fromkeys(map(str, questions))))


def parse(text: str) -> Facts:
    """Read what the script wrote.

    Raises:
        FactsError: When a part is missing: no listener told is something else than no listener.
    """
    sections, failures = _sections(text)

    def lines(kind: str) -> list[str]:
        if (kind,) not in sections:
            raise FactsError(f"the host could not tell its {kind}: {failures.get((kind,), 'no answer')}")
        return sections[kind,]

    def fields(kind: str, count: int) -> list[list[str]]:
        return [line.split("\t") for line in lines(kind) if line.count("\t") == count - 1]

    def about(kind: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
        return ((head[1:], body) for head, body in sections.items() if head[0] == kind and len(head) > 1)

    has_units = ("units",) in sections
    return Facts(
        listeners=tuple(filter(None, map(_listener, lines("listeners")))),
        connections=tuple(filter(None, map(_connection, lines("connections")))),
        interfaces=tuple(dict.fromkeys(_interfaces(lines("addresses")))),
        stats={
            path: Stat(kind=kind, mode=f"{int(mode, 8):04o}", owner=owner)
            for path, kind, mode, owner in fields("stats", 4)
        },
        sums={path: digest for digest, _, path in (line.partition("  ") for line in lines("sums"))},
        texts={path: base64.b64decode(blob).decode(errors="replace") for path, blob in fields("texts", 2)},
        names=frozenset(lines("names")),
        units=dict(_units(lines("units"))) if has_units else {},
        uptime=float(lines("clock")[0]) if has_units else 0.0,
        # An account without a password field cannot be logged in to with one; an empty field can.
        accounts={
            user: Account(shell=shell, locked=first in {"!", "*"}) for user, shell, first in fields("accounts", 3)
        },
        sshd={(user, address): dict(_options(body)) for (user, address), body in about("sshd")},
        sessions={socket: tuple(_sessions(body)) for (socket,), body in about("sessions")},
        tables={path: tuple(body) for (path,), body in about("table")},
        members={command: tuple(body) for (command,), body in about("member")},
        keepalived={script: "".join(body) for (script,), body in about("keepalived")},
        failures=failures,
    )


def _sections(text: str) -> tuple[dict[tuple[str, ...], list[str]], dict[tuple[str, ...], str]]:
    """Split into sections; of a command that failed only its last words are kept."""
    told: dict[tuple[str, ...], list[str]] = {}
    failed: dict[tuple[str, ...], str] = {}
    head: tuple[str, ...] = ()
    body: list[str] = []
    for line in text.split("\n"):
        if line == "#=end":
            return told, failed
        if line.startswith("#="):
            head, body = tuple(line[2:].split("\t")), []
        elif line.startswith("#?"):
            while body and not body[-1]:
                body.pop()
            if line == "#?0":
                told[head] = body
            else:
                failed[head] = f"{body[-1] if body else 'no word'} (exit code {line[2:]})"
        else:
            body.append(line)
    raise FactsError("the host's answer ended half-way")


def _listener(line: str) -> Listener | None:
    fields = line.split(None, 6)
    endpoint = Endpoint.of(fields[4]) if len(fields) > 5 else None  # noqa: PLR2004 - netid state queues local peer
    if endpoint is None:
        return None
    processes = tuple(dict.fromkeys(_PROCESS.findall(fields[6]))) if len(fields) > 6 else ()  # noqa: PLR2004
    return Listener(protocol=fields[0], endpoint=endpoint, processes=processes)


def _connection(line: str) -> tuple[Endpoint, Endpoint] | None:
    fields = line.split()
    if len(fields) < 4:  # noqa: PLR2004 - two queues and two ends
        return None
    near, far = Endpoint.of(fields[2]), Endpoint.of(fields[3])
    return (near, far) if near and far else None


def _interfaces(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        fields = line.split()
        told = len(fields) > 3 and fields[2] in {"inet", "inet6"}  # noqa: PLR2004 - the fourth one has the address
        if told and "link" not in _scope(fields) and not is_loopback(fields[3].partition("/")[0]):
            yield fields[3]


def _scope(fields: Sequence[str]) -> Sequence[str]:
    at = fields.index("scope") if "scope" in fields else len(fields)
    return fields[at : at + 2]


def _units(lines: Iterable[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    shown: dict[str, str] = {}
    for line in (*lines, ""):
        key, equals, value = line.partition("=")
        if equals:
            shown[key] = value
        elif shown:
            yield from ((name, shown) for name in shown.get("Names", "").split())
            shown = {}


def _options(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        keyword, _, value = line.partition(" ")
        yield keyword.lower(), value


def _sessions(lines: Iterable[str]) -> Iterator[Session]:
    for line in lines:
        if known := _SOURCE.search(line):
            yield Session(source=known[1], frontend=known[2])
