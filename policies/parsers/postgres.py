"""pg_hba.conf, postgresql.conf (client-auth.sgml, config.sgml) and pgbackrest.conf (pgBackRest, "Configuration")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from policies.parsers.source import numbered

# A word, or a quoted text in which "" stands for a quote; commas keep lists together.
_WORD: Final = re.compile(r'(?:[^\s",#]|,\s*|"(?:[^"]|"")*")+')
_SETTING: Final = re.compile(r"([A-Za-z_][\w.]*)\s*(?:=\s*|\s+)('(?:[^'\\]|''|\\.)*'|[^\s#]+)")
#: Kinds of lines; all but the first come by the network.
KINDS: Final = ("local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc")


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of pg_hba.conf.

    Attributes:
        kind: `local`, `host`, `hostssl` and so on.
        address: Where from, without a mask; empty for `local`.
        method: How a client proves who it is.
        line: Line number, from 1.
        text: The line in single blanks.
    """

    kind: str
    address: str
    method: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Setting:
    """A parameter of postgresql.conf.

    Attributes:
        name: In lower case.
        value: Without quotes, in lower case.
        line: Line number, from 1.
    """

    name: str
    value: str
    line: int


def rule(text: str, line: int) -> Rule | None:
    """Read one line of pg_hba.conf; None for a comment, an empty line or what is no rule."""
    words = _WORD.findall(text.partition("#")[0])
    if len(words) < 4 or words[0] not in KINDS:  # noqa: PLR2004 - kind, database, user, method
        return None
    shown = " ".join(words)
    if words[0] == "local":
        return Rule("local", "", words[3].lower(), line, shown)
    address, *rest = words[3:]
    # A mask of its own, as in `192.0.2.0 255.255.255.0 md5`.
    if rest and re.fullmatch(r"[\d.]+|[\da-fA-F:]+", rest[0]) and ("." in rest[0] or ":" in rest[0]):
        rest = rest[1:]
    return Rule(words[0], address.partition("/")[0], rest[0].lower() if rest else "", line, shown)


def rules(text: str) -> Iterator[Rule]:
    """Read pg_hba.conf."""
    for number, line in numbered(text):
        found = rule(line, number)
        if found is not None:
            yield found


def settings(text: str) -> dict[str, Setting]:
    """Read postgresql.conf; the last line of a name holds."""
    known: dict[str, Setting] = {}
    for number, line in numbered(text):
        found = _SETTING.match(line)
        if found:
            name, value = found[1].lower(), found[2]
            plain = value[1:-1].replace("''", "'") if value.startswith("'") else value
            known[name] = Setting(name, plain.lower(), number)
    return known


def options(text: str) -> Iterator[Setting]:
    """Read pgbackrest.conf; a name may have several lines."""
    for number, line in numbered(text):
        name, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith(("#", "[")):
            yield Setting(name.strip(), value.strip(), number)


def is_on(value: str) -> bool:
    """Whether a Boolean parameter is on; unique beginnings of words count (bool.c)."""
    plain = value.lower()
    return plain in ("1", "on") or (bool(plain) and ("true".startswith(plain) or "yes".startswith(plain)))


def everywhere(addresses: Iterable[str]) -> list[str]:
    """Pick the addresses that stand for all of a host's."""
    return [each for each in addresses if each.strip().strip("[]") in ("*", "0.0.0.0", "::", "")]  # noqa: S104
