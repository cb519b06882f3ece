"""What verification says: one line a check, a verdict, a table for people and JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from verification.family import counted

SEALED: Final = "sealed"
OPEN: Final = "open"
LOGIN: Final = "login"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        name: Name of its family.
        host: The host or cluster that it is about.
        ok: Whether all is well; a check that could not be done is not.
        detail: What was looked at, or what is not well.
    """

    name: str
    host: str
    ok: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that was checked.

    Attributes:
        checks: All checks, by family and host.
        seconds: How long it took.
        lab: What a lab has in place of something real, or that it has the real thing; empty without a lab.
        clusters: Which of the checks' names are of clusters.
    """

    checks: tuple[Check, ...]
    seconds: float
    lab: str = ""
    clusters: frozenset[str] = frozenset()

    @property
    def verdict(self) -> str:
        """`sealed` only when there was something to check and all of it is well."""
        return SEALED if self.checks and all(check.ok for check in self.checks) else OPEN

    def as_json(self) -> str:
        """Write the report for programs."""
        content: dict[str, Any] = {"verdict": self.verdict, "checks": [asdict(check) for check in self.checks]}
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    def show(self, console: Console, families: Mapping[str, str]) -> None:
        """Print the table.

        Args:
            console: Where to.
            families: Name and summary of every family, in order.
        """
        console.print(Group(*self._parts(families)))

    def _parts(self, families: Mapping[str, str]) -> list[RenderableType]:
        problems = [check for check in self.checks if not check.ok]
        away = {check.host for check in problems if check.name == LOGIN}
        listed = [check for check in problems if check.name == LOGIN or check.host not in away]
        places = " and ".join(counted(len(names), noun) for noun, names in self._places(self.checks))
        verdict = Text(self.verdict, style="bold green" if self.verdict == SEALED else "bold red")
        numbers = f": {len(self.checks) - len(problems)} of {len(self.checks)} checks on {places} are well"
        last = Text.assemble(verdict, f"{numbers}, in {self.seconds:.1f} s")
        told = [Text(f"lab: {self.lab}")] if self.lab else []
        return [self._summary(families), *([_list(listed)] if listed else []), *told, last]

    def _places(self, checks: Iterable[Check]) -> Iterator[tuple[str, set[str]]]:
        """Yield the hosts, and the clusters, that checks are about."""
        names = {check.host for check in checks}
        for noun, mine in (("host", names - self.clusters), ("cluster", names & self.clusters)):
            if mine:
                yield noun, mine

    def _summary(self, families: Mapping[str, str]) -> Table:
        """One row a family; hosts are named only where something is wrong, so that hundreds of them fit."""
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, summary in families.items():
            mine = [check for check in self.checks if check.name == name]
            wrong = {check.host for check in mine if not check.ok}
            if not mine:
                continue
            number = ", ".join(f"{len(names - wrong)}/{len(names)} {noun}s" for noun, names in self._places(mine))
            style = "red" if wrong else "green"
            table.add_row(Text("✗" if wrong else "✓", style=style), Text(name, style=f"bold {style}"), summary, number)
        return table


def _list(problems: Sequence[Check]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=True, header_style="bold red")
    table.add_column("where", no_wrap=True)
    table.add_column("check", no_wrap=True)
    table.add_column("what is wrong", overflow="fold")
    for check in problems:
        table.add_row(check.host, check.name, Text(check.detail))
    return table
