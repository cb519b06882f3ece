"""YAML with the line of each value, merged as Patroni merges the files of a directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from policies.parsers.source import Problem


@dataclass(frozen=True, slots=True)
class Entry:
    """A value, and where it stands.

    Attributes:
        value: A scalar as text, or an empty text for a mapping or a list.
        path: The file.
        line: Line number, from 1.
        items: What a list holds.
        keys: What a mapping holds.
    """

    value: str
    path: str
    line: int
    items: tuple[Entry, ...] = ()
    keys: Mapping[str, Entry] = field(default_factory=dict)

    def at(self, *steps: str) -> Entry | None:
        """Return what stands below, or None."""
        here: Entry | None = self
        for step in steps:
            here = here.keys.get(step) if here else None
        return here

    def text(self, *steps: str, default: str = "") -> str:
        """Return a scalar below, in lower case."""
        found = self.at(*steps)
        return found.value.lower() if found else default

    def leaves(self, *way: str) -> Iterator[tuple[tuple[str, ...], Entry]]:
        """Yield every scalar below, with its keys; of lists with the list's."""
        for key, entry in self.keys.items():
            yield from entry.leaves(*way, key)
        for entry in self.items:
            yield from entry.leaves(*way)
        if not self.keys and not self.items:
            yield way, self


def parse(files: Mapping[str, str]) -> tuple[Entry, list[tuple[str, Problem]]]:
    """Read files, each later one over the earlier ones.

    Args:
        files: Texts by path, in their order.

    Returns:
        What they say, and what cannot be read.
    """
    problems: list[tuple[str, Problem]] = []
    whole = Entry("", next(iter(files), ""), 1)
    for path, text in files.items():
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            problems.append((path, _no_yaml(error)))
            continue
        if isinstance(node, yaml.MappingNode):
            whole = _over(whole, _entry(node, path))
        elif node is not None:
            problems.append((path, Problem(1, "it is no mapping")))
    return whole, problems


def documents(path: str, text: str) -> tuple[list[tuple[Any, Entry]], list[Problem]]:
    """Read every document of a file: its values with their types, and the same with lines."""
    construct = yaml.constructor.SafeConstructor().construct_document
    try:
        return [(construct(node), _entry(node, path)) for node in yaml.compose_all(text, Loader=yaml.SafeLoader)], []
    except yaml.YAMLError as error:
        return [], [_no_yaml(error)]


def _no_yaml(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    return Problem(mark.line + 1 if mark else 1, "it is no YAML")


def _entry(node: yaml.Node, path: str) -> Entry:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        keys = {str(key.value): _entry(value, path) for key, value in node.value}
        return Entry("", path, line, keys=keys)
    if isinstance(node, yaml.SequenceNode):
        return Entry("", path, line, items=tuple(_entry(each, path) for each in node.value))
    return Entry(str(node.value), path, line)


def _over(under: Entry, over: Entry) -> Entry:
    if not (over.keys and under.keys):
        return over if over.keys or over.items or over.value else under
    keys = dict(under.keys)
    for key, entry in over.keys.items():
        keys[key] = _over(keys[key], entry) if key in keys else entry
    return Entry("", under.path, under.line, keys=keys)
