"""ssh_config(5) and sshd_config(5): blocks, and what holds for one host alias or one user.

Of several values for a keyword the first one counts, in both files; in sshd_config every Match block comes before the
global section. A block that cannot be judged here (`Match Address …`) may hold or not: both outcomes are handed out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final

from policies.parsers.source import SPACE, Problem, like, numbered

# The word before the first space or "=", and one "=" between the two.
_KEYWORD: Final = re.compile(r'^"?([^\s="]+)"?[ \t]*=?[ \t]*(.*)$')
_TIME: Final = re.compile(r"(\d+)([smhdw]?)", re.IGNORECASE)
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# Criteria without an argument.
_BARE: Final = frozenset({"all", "canonical", "final", "invalid-user"})
_BASE: Final = "/etc/ssh"


class Holds(Enum):
    """Whether a block holds for a target."""

    YES = "yes"
    NO = "no"
    MAYBE = "maybe"


@dataclass(frozen=True, slots=True)
class Option:
    """One line.

    Attributes:
        keyword: As written.
        words: Its arguments, quotes and escapes resolved.
        raw: Everything behind the keyword.
        path: The file that holds it.
        line: Line number, from 1.
    """

    keyword: str
    words: tuple[str, ...]
    raw: str
    path: str
    line: int

    @property
    def value(self) -> str:
        """First argument, or an empty string."""
        return self.words[0] if self.words else ""

    def __str__(self) -> str:
        """Write the option as in the file."""
        return f"{self.keyword} {self.raw}".rstrip()


@dataclass(frozen=True, slots=True)
class Criterion:
    """One condition of a Match or Host line.

    Attributes:
        name: In lower case: `user`, `address`, `all`, …; a Host line is an `originalhost`.
        patterns: Patterns with `*`, `?` and `!`; any of them is enough, a matching `!` is a veto.
        negated: Whether `!` stands before the name (ssh_config only).
    """

    name: str
    patterns: tuple[str, ...] = ()
    negated: bool = False

    def holds(self, subjects: Mapping[str, str]) -> Holds:
        """Judge the condition for what is known, by the criterion's name."""
        if self.name == "all":
            return Holds.YES
        if self.name not in subjects:
            return Holds.MAYBE
        return Holds.YES if matches(subjects[self.name], self.patterns) is not self.negated else Holds.NO


@dataclass(frozen=True, slots=True)
class Block:
    """The lines under one Host or Match line, or before the first.

    Attributes:
        criteria: All must hold; none for the lines before the first Host or Match.
        options: Its lines, in order.
        path: The file that holds it.
        line: Line number of its head.
        head: Its head as written, empty for the lines before the first.
    """

    criteria: tuple[Criterion, ...]
    options: tuple[Option, ...]
    path: str
    line: int
    head: str

    def holds(self, subjects: Mapping[str, str]) -> Holds:
        """Judge the block for what is known."""
        verdicts = {criterion.holds(subjects) for criterion in self.criteria}
        return Holds.NO if Holds.NO in verdicts else Holds.MAYBE if Holds.MAYBE in verdicts else Holds.YES

    def patterns(self, name: str) -> tuple[str, ...]:
        """Return the patterns of a criterion."""
        return tuple(each for criterion in self.criteria if criterion.name == name for each in criterion.patterns)

    def first(self, keyword: str) -> Option | None:
        """Return the first line of a keyword."""
        return next((each for each in self.options if each.keyword.lower() == keyword.lower()), None)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A parsed configuration with the files it includes.

    Attributes:
        blocks: In the order in which they are asked.
        problems: Lines that OpenSSH refuses, with their file.
        unread: Includes of files that were not given.
    """

    blocks: tuple[Block, ...]
    problems: tuple[tuple[str, Problem], ...]
    unread: tuple[Option, ...]

    def possible(self, keyword: str, subjects: Mapping[str, str]) -> list[Option | None]:
        """Return every line that may decide for a target; None where nothing is set and the default holds.

        Args:
            keyword: Keyword in any case.
            subjects: What is known of the target, by criterion: `{"originalhost": alias}` or `{"user": name}`.
        """
        found: list[Option | None] = []
        for block in self.blocks:
            verdict = block.holds(subjects)
            option = block.first(keyword) if verdict is not Holds.NO else None
            if option is not None:
                found.append(option)
                if verdict is Holds.YES:
                    return found
        return [*found, None]

    def every(self, keyword: str, subjects: Mapping[str, str]) -> list[Option]:
        """Return all lines of a keyword that adds up, such as LocalForward."""
        return [
            option
            for block in self.blocks
            if block.holds(subjects) is not Holds.NO
            for option in block.options
            if option.keyword.lower() == keyword.lower()
        ]


def matches(subject: str, patterns: Sequence[str]) -> bool:
    """Match a pattern list (ssh_config(5), PATTERNS)."""
    hit = False
    for pattern in patterns:
        if like(subject, pattern.removeprefix("!")):
            if pattern.startswith("!"):
                return False
            hit = True
    return hit


def seconds(value: str) -> int | None:
    """Read a time (sshd_config(5), TIME FORMATS); None when it is none."""
    parts = _TIME.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        return None
    return sum(int(number) * _SECONDS[unit.lower()] for number, unit in parts)


def is_on(value: str) -> bool:
    """Tell whether a flag is on."""
    return value.lower() in {"yes", "true"}


def is_off(value: str) -> bool:
    """Tell whether a flag is off."""
    return value.lower() in {"no", "false"}


def split(text: str) -> list[str]:
    """Split arguments as OpenSSH's argv_split() does; a `#` at the start of a word begins a comment.

    Raises:
        ValueError: On a quote that is not closed.
    """
    words: list[str] = []
    word: str | None = None
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        following = text[at : at + 1]
        if char == "\\" and following and (following in "'\"\\" or (following == " " and not quote)):
            word = (word or "") + following
            at += 1
        elif quote:
            quote, word = ("", word) if char == quote else (quote, (word or "") + char)
        elif char in "'\"":
            quote, word = char, word or ""
        elif char == "#" and word is None:
            break
        elif char not in " \t":
            word = (word or "") + char
        elif word is not None:
            words.append(word)
            word = None
    if quote:
        raise ValueError("a quote is not closed")
    return words if word is None else [*words, word]


def parse_client(path: str, files: Mapping[str, str]) -> Configuration:
    """Parse an ssh_config(5) and, as far as known, what it includes."""
    reader = _Reader(files)
    reader.read(path, ())
    return reader.configuration(reader.blocks)


def parse_server(paths: Iterable[str], files: Mapping[str, str]) -> Configuration:
    """Parse sshd_config(5) files in the order given, as if one included all.

    Args:
        paths: The main file, or, where it is not known, its drop-ins in their order.
        files: Text of files by path, included ones too.
    """
    reader = _Reader(files)
    for path in paths:
        reader.read(path, ())
    return reader.configuration(sorted(reader.blocks, key=lambda block: not block.criteria))


@dataclass
class _Draft:
    criteria: tuple[Criterion, ...]
    path: str
    line: int
    head: str
    options: list[Option] = field(default_factory=list)

    def done(self) -> Block:
        return Block(self.criteria, tuple(self.options), self.path, self.line, self.head)


class _Reader:
    """Reads files into blocks, in the order in which OpenSSH comes across them."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self.blocks: list[Block] = []
        self.problems: list[tuple[str, Problem]] = []
        self.unread: list[Option] = []

    def configuration(self, blocks: Iterable[Block]) -> Configuration:
        return Configuration(tuple(blocks), tuple(self.problems), tuple(self.unread))

    def read(self, path: str, outer: tuple[Criterion, ...], *above: str) -> None:
        """Read a file whose every line is under the conditions of the line that includes it."""
        options, problems = _options(path, self.files[path])
        self.problems += [(path, each) for each in problems]
        draft = _Draft(outer, path, 1, "")
        for option in options:
            keyword = option.keyword.lower()
            if keyword in {"host", "match"}:
                self.blocks.append(draft.done())
                criteria = _host_line(option) if keyword == "host" else _match_line(option)
                draft = _Draft((*outer, *criteria), path, option.line, str(option))
            elif keyword == "include":
                self.blocks.append(draft.done())
                self._include(option, draft.criteria, path, *above)
                draft = _Draft(draft.criteria, path, draft.line, draft.head)
            else:
                draft.options.append(option)
        self.blocks.append(draft.done())

    def _include(self, option: Option, criteria: tuple[Criterion, ...], *above: str) -> None:
        for pattern in option.words:
            absolute = pattern if pattern.startswith(("/", "~")) else f"{_BASE}/{pattern}"
            included = sorted(path for path in self.files if like(path, absolute))
            if not included:
                self.unread.append(option)
            for path in included:
                if path in above:
                    self.problems.append((option.path, Problem(option.line, "the file includes itself")))
                else:
                    self.read(path, criteria, path, *above)


@lru_cache(maxsize=512)
def _options(path: str, text: str) -> tuple[tuple[Option, ...], tuple[Problem, ...]]:
    options: list[Option] = []
    problems: list[Problem] = []
    for number, line in numbered(text):
        if not line or line.startswith("#"):
            continue
        parts = _KEYWORD.match(line)
        if parts is None:
            problems.append(Problem(number, "no keyword"))
            continue
        keyword, raw = parts[1], parts[2].strip(SPACE)
        try:
            options.append(Option(keyword, tuple(split(raw)), raw, path, number))
        except ValueError as error:
            problems.append(Problem(number, str(error)))
    return tuple(options), tuple(problems)


def _host_line(option: Option) -> tuple[Criterion, ...]:
    return (Criterion("originalhost", option.words),)


def _match_line(option: Option) -> tuple[Criterion, ...]:
    words = [part for word in option.words for part in word.split("=", 1)]
    criteria: list[Criterion] = []
    while words:
        name = words.pop(0)
        negated, name = name.startswith("!"), name.removeprefix("!").lower()
        argument = words.pop(0) if words and name not in _BARE else ""
        criteria.append(Criterion(name, tuple(argument.split(",")) if argument else (), negated))
    return tuple(criteria)
