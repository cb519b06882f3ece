"""keepalived.conf (keepalived.conf(5); parser.c of keepalived 2.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from policies.parsers.source import Problem

# A quoted string, a brace, or a word; comments begin with # or ! wherever a word could.
_TOKEN: Final = re.compile(r"""[#!].*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{}]|[^\s{}"']+|["']""")


@dataclass(slots=True)
class Statement:
    """A keyword with its arguments and, where it opens one, its block.

    Attributes:
        words: Keyword and arguments, without quotes.
        line: Line number, from 1.
        block: Statements between its braces.
    """

    words: tuple[str, ...]
    line: int
    block: list[Statement] = field(default_factory=list)

    @property
    def keyword(self) -> str:
        """The first word."""
        return self.words[0]

    def all(self, *keywords: str) -> Iterator[Statement]:
        """Yield statements of the block by their keyword."""
        return (each for each in self.block if each.keyword in keywords)

    def last(self, keyword: str) -> Statement | None:
        """Return the statement of the block that decides: the last one."""
        return next(reversed(list(self.all(keyword))), None)

    def __str__(self) -> str:
        """Write the statement as one line, without its block."""
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A parsed configuration.

    Attributes:
        top: A statement without words that holds everything.
        problems: Lines that keepalived refuses.
    """

    top: Statement
    problems: tuple[Problem, ...]

    @property
    def globals(self) -> Statement:
        """What stands in every `global_defs`, in one block."""
        inner = [each for block in self.top.all("global_defs") for each in block.block]
        return Statement(("global_defs",), 1, inner)


@lru_cache(maxsize=256)
def parse(text: str) -> Configuration:
    """Parse a configuration. Conditional lines, such as `@main priority 101`, are read as if they held."""
    top = Statement((), 1)
    open_ones = [top]
    problems = []
    for number, line in enumerate(text.split("\n"), start=1):
        words: list[str] = []

        def finish(words: list[str], number: int = number) -> None:
            if words:
                open_ones[-1].block.append(Statement(tuple(words), number))
                words.clear()

        for part in _tokens(line):
            if part in ('"', "'"):
                problems.append(Problem(number, "a quote is not closed"))
            elif part == "{":
                finish(words)
                if open_ones[-1].block:
                    open_ones.append(open_ones[-1].block[-1])
                else:
                    problems.append(Problem(number, "a block has no keyword"))
            elif part == "}":
                finish(words)
                if len(open_ones) > 1:
                    open_ones.pop()
                else:
                    problems.append(Problem(number, "a block is closed that was not opened"))
            elif words or not part.startswith("@"):
                words.append(_plain(part))
        finish(words)
    if len(open_ones) > 1:
        problems.append(Problem(open_ones[-1].line, "its block is not closed"))
    return Configuration(top, tuple(problems))


def _tokens(line: str) -> Iterator[str]:
    for found in _TOKEN.finditer(line):
        if found[0][0] in "#!":
            return
        yield found[0]


def _plain(part: str) -> str:
    return part[1:-1] if part[0] in "\"'" else part
