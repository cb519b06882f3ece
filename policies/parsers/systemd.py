"""systemd units and drop-ins (systemd.syntax(7), systemd.unit(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final

from policies.parsers.source import SPACE, Problem, numbered

_COMMENT: Final = ("#", ";")
_SECTION: Final = re.compile(r"^\[(.+)\]$")
_YES: Final = frozenset({"1", "yes", "y", "true", "t", "on"})
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zµ]*)", re.IGNORECASE)
_SECONDS: Final = {
    "usec": 1e-6, "us": 1e-6, "µs": 1e-6, "msec": 1e-3, "ms": 1e-3,
    "": 1.0, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "d": 86400.0, "day": 86400.0, "days": 86400.0, "w": 604800.0, "week": 604800.0, "weeks": 604800.0,
}  # fmt: skip
# "@" the name, "-" failures, ":" variables, "+" and "!" privileges (systemd.service(5), COMMAND LINES).
_EXEC_PREFIX: Final = re.compile(r"^[@\-:+!|]*")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "s": " ", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Assignment:
    """One `Key=value` line.

    Attributes:
        section: Its section.
        key: Left of the first `=`.
        value: Right of it, continuation lines joined by a space.
        path: The file that holds it.
        line: Line number of its first line.
    """

    section: str
    key: str
    value: str
    path: str
    line: int

    def __str__(self) -> str:
        """Write the assignment as in the file."""
        return f"{self.key}={self.value}"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as systemd sees it: its file, then its drop-ins.

    Attributes:
        name: For example `haproxy.service`.
        path: The file that counts for messages: the unit's own or, of a bare drop-in, its first.
        whole: Whether the unit's own file is known, not only drop-ins.
        assignments: All lines in the order in which they take effect.
        problems: Lines that systemd ignores with a warning, with their file.
    """

    name: str
    path: str
    whole: bool
    assignments: tuple[Assignment, ...]
    problems: tuple[tuple[str, Problem], ...]

    def all(self, section: str, key: str) -> list[Assignment]:
        """Return the values of a key that may be given often; an empty one forgets those before it."""
        values: list[Assignment] = []
        for each in self.assignments:
            if (each.section, each.key) == (section, key):
                values = [*values, each] if each.value else []
        return values

    def last(self, section: str, key: str) -> Assignment | None:
        """Return the assignment that decides, empty ones included."""
        for each in reversed(self.assignments):
            if (each.section, each.key) == (section, key):
                return each
        return None

    def commands(self) -> Iterator[tuple[Assignment, list[str]]]:
        """Yield the command lines of ExecStart=, split into words, without prefixes."""
        for each in self.all("Service", "ExecStart"):
            try:
                words = split(each.value)
            except ValueError:
                continue  # systemd ignores such a line, loudly
            if words:
                yield each, [_EXEC_PREFIX.sub("", words[0]), *words[1:]]


def is_yes(value: str) -> bool:
    """Tell whether a boolean is true (systemd.syntax(7))."""
    return value.lower() in _YES


def seconds(value: str) -> float | None:
    """Read a time span (systemd.time(7)); None when it is none, infinite when it says so."""
    if value.lower() == "infinity":
        return float("inf")
    total, at = 0.0, 0
    text = value.replace(" ", "")
    for part in _SPAN.finditer(text):
        if part.start() != at or part[2].lower() not in _SECONDS:
            return None
        # "M" is months, "m" minutes; months and years do not matter here.
        total += float(part[1]) * _SECONDS[part[2].lower()]
        at = part.end()
    return total if text and at == len(text) else None


@lru_cache(maxsize=512)
def parse(path: str, text: str) -> tuple[tuple[Assignment, ...], tuple[Problem, ...]]:
    """Parse one unit file or drop-in."""
    assignments: list[Assignment] = []
    problems: list[Problem] = []
    section = ""
    for number, line in _joined(text):
        header = _SECTION.match(line)
        key, equals, value = line.partition("=")
        if header:
            section = header[1]
        elif not equals:
            problems.append(Problem(number, "no '=' in it"))
        elif not section:
            problems.append(Problem(number, "an assignment before the first section"))
        else:
            assignments.append(Assignment(section, key.rstrip(SPACE), value.strip(SPACE), path, number))
    return tuple(assignments), tuple(problems)


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with continuations joined and comments left out, also those between continuations."""
    start, pending = 0, ""
    for number, line in numbered(text):
        if line.startswith(_COMMENT):
            continue
        start = start if pending else number
        if (len(line) - len(line.rstrip("\\"))) % 2:  # an even number is so many escaped backslashes
            pending += line[:-1] + " "
            continue
        whole = (pending + line).strip(SPACE)
        pending = ""
        if whole:
            yield start, whole
    if pending.strip(SPACE):
        yield start, pending.strip(SPACE)


def units(files: Mapping[str, str]) -> list[Unit]:
    """Put unit files and drop-ins together.

    Args:
        files: Text by path, unit files and drop-ins only.

    Returns:
        One unit for every name that has a file or drop-ins of its own. Drop-ins of a template hold for its instances.
    """
    bodies = {PurePosixPath(path).name: path for path in files if not _is_drop_in(path)}
    names = set(bodies) | {_directory(path).removesuffix(".d") for path in files if _is_drop_in(path)}
    return [_unit(name, bodies, files) for name in sorted(names)]


def _unit(name: str, bodies: Mapping[str, str], files: Mapping[str, str]) -> Unit:
    template = re.sub(r"@.*(\.\w+)$", r"@\1", name)
    body = bodies.get(name) or bodies.get(template)
    directories = {f"{name}.d", f"{template}.d"}
    # Sorted by file name, whatever directory they lie in (systemd.unit(5)).
    drop_ins = sorted(
        (path for path in files if _is_drop_in(path) and _directory(path) in directories),
        key=lambda path: PurePosixPath(path).name,
    )
    parts = [*([body] if body else []), *drop_ins]
    parsed = [(path, *parse(path, files[path])) for path in parts]
    return Unit(
        name=name,
        path=parts[0],
        whole=body is not None,
        assignments=tuple(each for _, assignments, _ in parsed for each in assignments),
        problems=tuple((path, each) for path, _, problems in parsed for each in problems),
    )


def _directory(path: str) -> str:
    return PurePosixPath(path).parent.name


def _is_drop_in(path: str) -> bool:
    return _directory(path).endswith(".d")


def split(command: str) -> list[str]:
    """Split a command line into words (systemd.service(5), COMMAND LINES).

    Raises:
        ValueError: On a quote that is not closed.
    """
    words: list[str] = []
    word: str | None = None
    quote = ""
    at = 0
    while at < len(command):
        char = command[at]
        at += 1
        if char == "\\" and at < len(command):
            word = (word or "") + _ESCAPES.get(command[at], command[at])
            at += 1
        elif quote:
            quote, word = ("", word) if char == quote else (quote, (word or "") + char)
        elif char in "\"'":
            quote, word = char, word or ""
        elif char not in SPACE:
            word = (word or "") + char
        elif word is not None:
            words.append(word)
            word = None
    if quote:
        raise ValueError("a quote is not closed")
    return words if word is None else [*words, word]
