"""Scripts of a shell, as far as a look without running them goes (POSIX, Shell Command Language, token recognition)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import PurePosixPath
from typing import Final

_SHELLS: Final = frozenset({"ash", "bash", "dash", "ksh", "sh", "zsh"})
_AS_USER: Final = frozenset({"runuser", "su"})
_TOKEN: Final = re.compile(
    r"""
      (?P<joined>\\\n)
    | (?P<blank>[ \t\r]+|(?<![^\s;&|()])\#[^\n]*)
    | (?P<redirection>\d*(?:<<-?|<>|<&|>>|>&|>\||<|>)|&>>?)
    | (?P<operator>[;&|()\n]+)
    | (?P<quoted>'[^']*')
    | (?P<double>"(?:[^"\\]|\\.)*")
    | (?P<escaped>\\.)
    | (?P<plain>\$\((?:[^()]|\([^()]*\))*\)|`[^`]*`|[^\s'"\\;&|()<>`$]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_IN_DOUBLE: Final = re.compile(r'\\([$`"\\])|\\\n')
# What a piece of a word stands for.
_PIECES: Final[Mapping[str, Callable[[str], str]]] = {
    "quoted": lambda text: text[1:-1],
    "double": lambda text: _IN_DOUBLE.sub(r"\1", text[1:-1]),
    "escaped": lambda text: text[1:],
    "plain": lambda text: text,
}
_PARAMETER: Final = re.compile(r"\$\{?([0-9@*])\}?")
_LONG_WITH_ARGUMENT: Final = frozenset({"--init-file", "--rcfile"})


def commands(script: str) -> list[tuple[str, ...]]:
    """Split a script into commands, and these into words; redirections are left out, and nothing is expanded."""
    made: list[list[str]] = [[]]
    word: str | None = None
    is_target = False
    for token in _TOKEN.finditer(f"{script}\n"):
        kind = str(token.lastgroup)
        if kind in _PIECES:
            word = (word or "") + _PIECES[kind](token[0])
        elif kind != "joined":
            if word is not None and not is_target:
                made[-1].append(word)
            is_target = kind == "redirection" or (kind == "blank" and is_target and word is None)
            word = None
            if kind == "operator":
                made.append([])
    return [tuple(each) for each in made if each]


def started(words: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the commands that a command comes to: what a shell in it is given by `-c` is taken apart.

    Args:
        words: Program and arguments, wrappers such as `tini --` included.
    """
    for at, word in enumerate(words):
        given = _script(PurePosixPath(word).name, list(words[at + 1 :]))
        if not given:
            continue
        script, *parameters = given
        inner = (
            started(tuple(chain.from_iterable(_expanded(word, parameters) for word in command)))
            for command in commands(script)
        )
        return [each for each in (tuple(words[:at]), *chain.from_iterable(inner)) if each]
    return [tuple(words)]


def _script(program: str, rest: list[str]) -> list[str]:
    """Return the script that a shell is given and its parameters; nothing where it is given none (sh(1), bash(1))."""
    if program in _AS_USER and "-c" in rest:
        return rest[rest.index("-c") + 1 :][:1]
    if program not in _SHELLS:
        return []
    is_given = False
    while rest and re.fullmatch(r"[-+].+", rest[0], re.DOTALL):
        word = rest.pop(0)
        if word == "--":
            break
        if word.startswith("--"):
            rest = rest[1:] if word in _LONG_WITH_ARGUMENT else rest
            continue
        is_given = is_given or (word.startswith("-") and "c" in word)
        rest = rest[1:] if set(word) & {"o", "O"} else rest  # -euo pipefail
    return rest if is_given else []


def _expanded(word: str, parameters: Sequence[str]) -> Sequence[str]:
    """Put a script's parameters in place; the first one is the script's own name."""
    found = _PARAMETER.fullmatch(word)
    if found is None or not parameters:
        return (word,)
    return parameters[1:] if found[1] in "@*" else parameters[int(found[1]) :][:1]
