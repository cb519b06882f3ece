"""authorized_keys (sshd(8), AUTHORIZED_KEYS FILE FORMAT)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from policies.parsers.source import SPACE, Problem, numbered

KEY_TYPE: Final = re.compile(r"^(?:(?:sk-)?(?:ssh|ecdsa)-[a-z0-9-]+)(?:@openssh\.com|-cert-v01@openssh\.com)?$")
# A name and perhaps a quoted value, in which only the quote is escaped.
_OPTION: Final = re.compile(r'([A-Za-z0-9-]+)(?:="((?:[^"\\]|\\.)*)")?(?:,|$)')
# Options end at the first space outside quotes.
_OPTIONS: Final = re.compile(r'^((?:[^\s"]|"(?:[^"\\]|\\.)*")+)[ \t]+(.*)$')
# As sshd has them: other spaces of Unicode are letters to it.
_SPACES: Final = re.compile(r"[ \t]+")


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        options: Name in lower case and value, None for a flag, in order.
        kind: Key type, for example `ssh-ed25519`.
        blob: The key in base64.
        comment: What follows.
        line: Line number, from 1.
    """

    options: tuple[tuple[str, str | None], ...]
    kind: str
    blob: str
    comment: str
    line: int

    def has(self, name: str) -> bool:
        """Tell whether an option is there."""
        return any(each == name for each, _ in self.options)

    def values(self, name: str) -> list[str]:
        """Return the values of an option that may be given often."""
        return [value or "" for each, value in self.options if each == name]


@lru_cache(maxsize=512)
def parse(text: str) -> tuple[tuple[Key, ...], tuple[Problem, ...]]:
    """Parse a file of keys."""
    keys: list[Key] = []
    problems: list[Problem] = []
    for number, line in numbered(text):
        if not line or line.startswith("#"):
            continue
        try:
            keys.append(_key(line, number))
        except ValueError as error:
            problems.append(Problem(number, str(error)))
    return tuple(keys), tuple(problems)


def _key(line: str, number: int) -> Key:
    options: tuple[tuple[str, str | None], ...] = ()
    if not KEY_TYPE.match(_SPACES.split(line, maxsplit=1)[0]):
        parts = _OPTIONS.match(line)
        if parts is None:
            raise ValueError("neither options nor a key")
        options, line = _options(parts[1]), parts[2].strip(SPACE)
    kind, blob, comment = (*_SPACES.split(line, maxsplit=2), "", "", "")[:3]
    if not KEY_TYPE.match(kind) or not blob:
        raise ValueError("no key")
    return Key(options, kind, blob, comment, number)


def _options(text: str) -> tuple[tuple[str, str | None], ...]:
    options: list[tuple[str, str | None]] = []
    at = 0
    while at < len(text):
        option = _OPTION.match(text, at)
        if option is None:
            raise ValueError("options that cannot be read")
        value = option[2]
        options.append((option[1].lower(), None if value is None else value.replace('\\"', '"')))
        at = option.end()
    return tuple(options)
