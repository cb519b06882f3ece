"""known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from policies.parsers.authorized_keys import KEY_TYPE
from policies.parsers.source import Problem, numbered

# As in authorized_keys.
_SPACES: Final = re.compile(r"[ \t]+")


@dataclass(frozen=True, slots=True)
class Pin:
    """One host key.

    Attributes:
        marker: `@cert-authority`, `@revoked` or an empty string.
        hosts: Names, addresses and patterns; a hashed name as it is.
        kind: Key type.
        blob: The key in base64.
        line: Line number, from 1.
    """

    marker: str
    hosts: tuple[str, ...]
    kind: str
    blob: str
    line: int


@lru_cache(maxsize=512)
def parse(text: str) -> tuple[tuple[Pin, ...], tuple[Problem, ...]]:
    """Parse a file of host keys."""
    pins: list[Pin] = []
    problems: list[Problem] = []
    for number, line in numbered(text):
        if not line or line.startswith("#"):
            continue
        words = _SPACES.split(line)
        marker = words.pop(0) if words[0].startswith("@") else ""
        hosts, kind, blob = (*words, "", "", "")[:3]
        if KEY_TYPE.match(kind) and blob:
            pins.append(Pin(marker, tuple(hosts.split(",")), kind, blob, number))
        else:
            problems.append(Problem(number, "no host key"))
    return tuple(pins), tuple(problems)
