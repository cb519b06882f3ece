"""haproxy.cfg: sections, keywords, listeners and health checks (HAProxy's configuration manual, 2.2, 4.2 and 5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import pairwise
from typing import Final

from policies.parsers.addresses import is_loopback, split_port
from policies.parsers.source import SPACE, Problem, numbered

_SECTIONS: Final = re.compile(
    "acme|backend|cache|crt-store|defaults|fcgi-app|frontend|global|http-errors|listen|log-forward|log-profile|mailers|"
    "peers|program|resolvers|ring|traces|userlist"
)
# A backslash before anything else stands for itself.
_ESCAPE: Final = re.compile(r"""\\(?:([ \\#'"$])|([tnr])|x([0-9A-Fa-f]{2}))""")
_CONTROL: Final = {"t": "\t", "n": "\n", "r": "\r"}
# "ipv4@", "quic6@", "stream+ipv4@": the family before an address (manual, 11.1).
_FAMILY: Final = re.compile(r"^(?:(?:stream|dgram|mptcp)\+)?([a-z]+[46]?)@")
_LOGIN: Final = re.compile(r"\s*(AUTH|HELLO\s.*\sAUTH)\s", re.IGNORECASE)
_LOCAL_FAMILIES: Final = frozenset({"unix", "abns", "abnsz", "sockpair"})


class Reach(Enum):
    """Who can reach a listener."""

    HOST = "its own host"
    NETWORK = "the network"
    UNTOLD = "nobody can tell from the file"


@dataclass(frozen=True, slots=True)
class Directive:
    """One line of a section.

    Attributes:
        words: Keyword and arguments, quotes and escapes resolved; `${VARIABLES}` as written.
        line: Line number, from 1.
    """

    words: tuple[str, ...]
    line: int

    def __str__(self) -> str:
        """Write the directive as one line."""
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Section:
    """A section with its lines, in order.

    Attributes:
        kind: For example `frontend`.
        name: Its name, or an empty string.
        line: Line number of its first line.
        directives: Its lines.
    """

    kind: str
    name: str
    line: int
    directives: tuple[Directive, ...]


@dataclass(frozen=True, slots=True)
class Listener:
    """An address that HAProxy would listen on.

    Attributes:
        section: The section that holds it.
        directive: The line.
        address: As written.
        reach: Who can reach it.
        tls: Whether TLS is spoken on it (`ssl`).
    """

    section: Section
    directive: Directive
    address: str
    reach: Reach
    tls: bool


@dataclass(frozen=True, slots=True)
class Login:
    """A health check that tells a server a password.

    Attributes:
        directive: The server's line.
        reach: Who can read what is sent, unless it is encrypted.
        tls: Whether it is.
        verified: Whether the server has to show a certificate of an authority.
    """

    directive: Directive
    reach: Reach
    tls: bool
    verified: bool


@dataclass(frozen=True, slots=True)
class Configuration:
    """A parsed haproxy.cfg.

    Attributes:
        sections: All sections in order.
        problems: Lines that HAProxy refuses.
    """

    sections: tuple[Section, ...]
    problems: tuple[Problem, ...]

    def listeners(self) -> Iterator[Listener]:
        """Yield every address that would listen: binds, peers and the runtime socket."""
        for section in self.sections:
            for directive, address in _addresses(section):
                yield Listener(section, directive, address, _reach(address), "ssl" in directive.words[2:])

    def logins(self) -> Iterator[Login]:
        """Yield every server to which a health check logs in as Redis has it (`tcp-check send "AUTH …"`)."""
        inherited: tuple[Directive, ...] = ()
        for section in self.sections:
            if section.kind == "defaults":
                inherited = section.directives
            elif section.kind in {"backend", "listen"}:
                yield from _logins((*inherited, *section.directives))


@lru_cache(maxsize=256)
def parse(text: str) -> Configuration:
    """Parse a haproxy.cfg. Both branches of an `.if` count: which one holds is decided on the host."""
    sections: list[tuple[str, str, int, list[Directive]]] = []
    problems: list[Problem] = []
    for number, line in numbered(text):
        try:
            words = _words(line)
        except ValueError as error:
            problems.append(Problem(number, str(error)))
            continue
        if not words or words[0].startswith("."):
            continue
        if _SECTIONS.fullmatch(words[0]):
            sections.append((words[0], " ".join(words[1:2]), number, []))
        elif sections:
            sections[-1][3].append(Directive(words, number))
        else:
            problems.append(Problem(number, "a keyword before the first section"))
    return Configuration(
        tuple(Section(kind, name, line, tuple(directives)) for kind, name, line, directives in sections),
        tuple(problems),
    )


def _words(line: str) -> tuple[str, ...]:
    """Split a line as HAProxy's parse_line() does: quotes of both kinds, backslash escapes, comments."""
    words: list[str] = []
    word: str | None = None
    quote = ""
    at = 0
    while at < len(line):
        char = line[at]
        escape = _ESCAPE.match(line, at) if quote != "'" else None
        at = escape.end() if escape else at + 1
        if escape:
            itself, control, code = escape.groups()
            word = (word or "") + (itself or _CONTROL.get(control or "") or chr(int(code, 16)))
        elif quote and char == quote:
            quote = ""
        elif quote:
            word = (word or "") + char
        elif char == "#":
            break
        elif char in "\"'":
            quote, word = char, word or ""
        elif char not in SPACE:
            word = (word or "") + char
        elif word is not None:
            words.append(word)
            word = None
    if quote:
        raise ValueError("a quote is not closed")
    return (*words, word) if word is not None else tuple(words)


def _addresses(section: Section) -> Iterator[tuple[Directive, str]]:
    binds = [each for each in section.directives if each.words[0] in {"bind", "dgram-bind"} and len(each.words) > 1]
    for directive in binds:
        for address in directive.words[1].split(","):
            yield directive, address
    if section.kind == "global":
        for directive in section.directives:
            if directive.words[:2] == ("stats", "socket"):
                yield directive, " ".join(directive.words[2:3])
    if section.kind == "peers" and not binds:
        # Without a bind, HAProxy listens on the line that holds its own name, and any of them may be that.
        for directive in section.directives:
            if directive.words[0] in {"peer", "server"} and len(directive.words) > 2:  # noqa: PLR2004 - name, address
                yield directive, directive.words[2]


def _reach(address: str) -> Reach:
    family = _FAMILY.match(address)
    rest = address[family.end() :] if family else address
    if "$" in address or (family and family[1] == "fd"):
        return Reach.UNTOLD
    if rest.startswith("/") or (family and family[1] in _LOCAL_FAMILIES):
        return Reach.HOST
    return Reach.HOST if is_loopback(split_port(rest)[0]) else Reach.NETWORK


def _logins(directives: tuple[Directive, ...]) -> Iterator[Login]:
    """Judge a backend by its lines and those that it inherits; a server has the options of the lines above it."""
    ways = list(_ways(directives))
    options: tuple[str, ...] = ()
    for directive in directives if ways else ():
        if directive.words[0] == "default-server":
            options += directive.words[1:]
        elif directive.words[0] == "server" and len(directive.words) > 2:  # noqa: PLR2004 - name, address
            own = (*options, *directive.words[3:])
            if _last(own, "check", "no-check"):
                encrypted = _last(own, "check-ssl", "no-check-ssl") or _last(own, "ssl", "no-ssl")
                tls = all(way == "ssl" or (way == "default" and encrypted) for way in ways)
                yield Login(directive, _reach(directive.words[2]), tls, _value(own, "verify") != "none")


def _ways(directives: tuple[Directive, ...]) -> Iterator[str]:
    """How each password is sent: `ssl`, `raw`, or `default` for what the server's options say."""
    way = "default"
    for directive in directives:
        if directive.words[:2] == ("tcp-check", "connect"):
            options = directive.words[2:]
            way = "ssl" if "ssl" in options else "default" if "default" in options else "raw"
        elif directive.words[0] == "tcp-check" and _LOGIN.match(" ".join(directive.words[2:3])):
            yield way


def _last(options: tuple[str, ...], yes: str, no: str) -> bool:
    return next((word == yes for word in reversed(options) if word in (yes, no)), False)


def _value(options: tuple[str, ...], keyword: str) -> str:
    return next((value for word, value in reversed(list(pairwise(options))) if word == keyword), "")
