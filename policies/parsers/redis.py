"""redis.conf, valkey.conf and sentinel.conf (redis.conf's own comments; sds.c, sdssplitargs)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final

from policies.parsers.addresses import is_loopback
from policies.parsers.source import SPACE, Problem, like, numbered

_CONTROL: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "a": "\a"}
_ESCAPE: Final = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))")
#: What a server listens on when nothing says otherwise: every interface (config.c, CONFIG_DEFAULT_BINDADDR).
_DEFAULT_BIND: Final = ("*", "-::*")
_SERVER_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_MARKER: Final = re.compile(r"# sealed-data-tier: plaintext port (\d+) until (\S+) because (.*\S)")


@dataclass(frozen=True, slots=True)
class Directive:
    """One line.

    Attributes:
        words: Keyword in lower case and arguments, quotes and escapes resolved.
        path: The file that holds it.
        line: Line number, from 1.
    """

    words: tuple[str, ...]
    path: str
    line: int

    def __str__(self) -> str:
        """Write the directive as one line."""
        return " ".join(word or '""' for word in self.words)


@dataclass(frozen=True, slots=True)
class Marker:
    """A comment by which a configuration says until when it keeps a plaintext port, and why.

    It reads `# sealed-data-tier: plaintext port 6379 until 2027-01-31 because clients move until then`.

    Attributes:
        port: The port.
        until: Last day, as written.
        because: The reason.
    """

    port: str
    until: str
    because: str


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for one keyword in the end.

    Attributes:
        values: Its arguments, or the default.
        directive: The line that decides, or None for the default.
    """

    values: tuple[str, ...]
    directive: Directive | None

    @property
    def value(self) -> str:
        """First argument."""
        return self.values[0] if self.values else ""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A parsed configuration with the files it includes.

    Attributes:
        path: The file that the server is started with.
        directives: All lines in the order in which the server reads them.
        problems: Lines that the server refuses.
        unread: Includes of files that were not given.
        files: Paths of all files read.
        sentinel: Whether a Sentinel reads it.
        markers: What comments say of plaintext ports.
    """

    path: str
    directives: tuple[Directive, ...]
    problems: tuple[tuple[str, Problem], ...]
    unread: tuple[Directive, ...]
    files: frozenset[str]
    sentinel: bool
    markers: tuple[Marker, ...] = ()

    def setting(self, keyword: str, *default: str) -> Setting:
        """Return what holds for a keyword: its last line wins."""
        for directive in reversed(self.directives):
            if directive.words[0] == keyword:
                return Setting(directive.words[1:], directive)
        return Setting(default, None)

    @property
    def port(self) -> Setting:
        """The plaintext port; 0 is none."""
        return self.setting("port", str(_SENTINEL_PORT if self.sentinel else _SERVER_PORT))

    @property
    def tls_port(self) -> Setting:
        """The TLS port; 0 is none."""
        return self.setting("tls-port", "0")

    @property
    def bind(self) -> Setting:
        """The addresses that both ports listen on."""
        return self.setting("bind", *_DEFAULT_BIND)

    @property
    def exposed(self) -> tuple[str, ...]:
        """The addresses of `bind` that others can reach; a `-` before an address only makes its absence harmless."""
        return tuple(each for each in self.bind.values if each and not is_loopback(each.removeprefix("-")))

    @property
    def encrypted(self) -> bool:
        """Whether there is a TLS port."""
        return self.tls_port.value != "0"

    @property
    def marker(self) -> Marker | None:
        """What a comment says of the plaintext port; of several the last."""
        return next((each for each in reversed(self.markers) if each.port == self.port.value), None)

    def is_on(self, keyword: str, default: str) -> bool:
        """Tell whether a yes-no keyword is on."""
        return self.setting(keyword, default).value.lower() == "yes"


def parse(path: str, files: Mapping[str, str], *, sentinel: bool = False) -> Configuration:
    """Parse a configuration.

    Args:
        path: The file that the server is started with.
        files: Text of files by path: the configuration and, as far as known, what it includes.
        sentinel: Whether a Sentinel reads it.
    """
    directives: list[Directive] = []
    problems: list[tuple[str, Problem]] = []
    unread: list[Directive] = []
    markers: list[Marker] = []
    seen: set[str] = set()

    def read(here: str, *above: str) -> None:
        seen.add(here)
        lines, troubles = _lines(files[here])
        problems.extend((here, each) for each in troubles)
        markers.extend(_markers(files[here]))
        for words, number in lines:
            directive = Directive(words, here, number)
            if words[0] != "include" or len(words) == 1:
                directives.append(directive)
                continue
            pattern = str(PurePosixPath(here).parent / words[1])
            included = sorted(each for each in files if like(each, pattern))
            if not included:
                unread.append(directive)
            for each in included:
                if each in {here, *above}:
                    problems.append((here, Problem(number, "the file includes itself")))
                else:
                    read(each, here, *above)

    read(path)
    return Configuration(
        path, tuple(directives), tuple(problems), tuple(unread), frozenset(seen), sentinel, tuple(markers)
    )


def _markers(text: str) -> Iterator[Marker]:
    for _, line in numbered(text):
        if found := _MARKER.fullmatch(line):
            yield Marker(*found.groups())


@lru_cache(maxsize=256)
def _lines(text: str) -> tuple[tuple[tuple[tuple[str, ...], int], ...], tuple[Problem, ...]]:
    lines: list[tuple[tuple[str, ...], int]] = []
    problems: list[Problem] = []
    for number, line in numbered(text):
        if not line or line.startswith("#"):
            continue
        try:
            keyword, *arguments = split(line)
        except ValueError as error:
            problems.append(Problem(number, str(error)))
        else:
            lines.append(((keyword.lower(), *arguments), number))
    return tuple(lines), tuple(problems)


def split(line: str) -> list[str]:
    """Split a line as sdssplitargs() does.

    Raises:
        ValueError: On a quote that is not closed, or that is closed in the middle of a word.
    """
    words = list(_words(line))
    if not words:
        raise ValueError("no keyword")
    return words


def _words(line: str) -> Iterator[str]:
    at = 0
    while at < len(line):
        if line[at] in SPACE:
            at += 1
            continue
        word = ""
        while at < len(line) and line[at] not in SPACE:
            if line[at] in "\"'":
                text, at = _quoted(line, at)
                word += text
                if at < len(line) and line[at] not in SPACE:
                    raise ValueError("a quote is closed in the middle of a word")
            else:
                word += line[at]
                at += 1
        yield word


def _quoted(line: str, at: int) -> tuple[str, int]:
    """Read a quoted piece; return its text and the place behind it."""
    quote, text = line[at], ""
    at += 1
    while at < len(line):
        if line[at] == quote:
            return text, at + 1
        escape = _ESCAPE.match(line, at)
        if escape and quote == '"':
            text += chr(int(escape[1], 16)) if escape[1] else _CONTROL.get(escape[2], escape[2])
            at = escape.end()
        elif quote == "'" and line.startswith("\\'", at):
            text, at = text + "'", at + 2
        else:
            text, at = text + line[at], at + 1
    raise ValueError("a quote is not closed")
