"""What every parser hands out beside its own structure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

#: What C's isspace() takes; Python's str.split() and splitlines() know more, and a daemon would not follow them.
SPACE: Final = " \t\n\v\f\r"


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that the daemon itself would refuse.

    Attributes:
        line: Line number, from 1.
        reason: What is wrong with it. The text is left out: an unreadable line may hold anything.
    """

    line: int
    reason: str


def numbered(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers, without surrounding space."""
    for number, line in enumerate(text.split("\n"), start=1):
        yield number, line.strip(SPACE)


def like(subject: str, pattern: str) -> bool:
    """Match a pattern of `*` and `?`; brackets are themselves, as in IPv6 addresses."""
    return fnmatchcase(subject, pattern.replace("[", "[[]"))
