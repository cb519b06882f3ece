"""Results: `build/benchmarks.json` and a table."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from tests.benchmarks.measure import Sample

_UNITS: Final = {"s": 2, "MiB": 0, "1/s": 0, "µs": 2, "": 2}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison; medians, and the least and greatest value of each side.

    Attributes:
        ratio: ours / peer_value.
    """

    name: str
    unit: str
    ours: float
    peer: str
    peer_value: float
    ratio: float
    runs: int
    spread: dict[str, tuple[float, float]]


@dataclass
class Report:
    """All comparisons of a run.

    Attributes:
        rows: The comparisons.
        aims: Greatest ratio wished for, by name and peer; printed beside the ratio, never asserted.
        floors: Least ratio wished for, likewise.
    """

    rows: list[Row] = field(default_factory=list)
    aims: dict[tuple[str, str], float] = field(default_factory=dict)
    floors: dict[tuple[str, str], float] = field(default_factory=dict)

    def compare(
        self,
        name: str,
        ours: Sample,
        peer: str,
        theirs: Sample,
        *,
        unit: str = "s",
        aim: float | None = None,
        floor: float | None = None,
    ) -> None:
        """Add one comparison.

        Args:
            aim: Greatest ratio wished for.
            floor: Least ratio wished for.
        """
        row = Row(
            name=name,
            unit=unit,
            ours=round(ours.median, 3),
            peer=peer,
            peer_value=round(theirs.median, 3),
            ratio=round(ours.median / theirs.median, 3),
            runs=len(ours.values),
            spread={"ours": _rounded(ours), "peer": _rounded(theirs)},
        )
        self.rows.append(row)
        if aim is not None:
            self.aims[name, peer] = aim
        if floor is not None:
            self.floors[name, peer] = floor

    def write(self, path: Path) -> None:
        """Write the machine-readable results."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([asdict(row) for row in self.rows], indent=2) + "\n")

    def table(self, title: str) -> str:
        """Return the results as people read them."""
        table = Table(title=title, box=SIMPLE, title_justify="left")
        table.add_column("what")
        table.add_column("peer")
        for column in ("ours", "(min-max)", "peer's", "(min-max)", "ratio", "aim", "runs"):
            table.add_column(column, justify="right")
        for row in self.rows:
            digits = _UNITS[row.unit]
            ours, theirs = (f"{value:,.{digits}f} {row.unit}".strip() for value in (row.ours, row.peer_value))
            ranges = [f"{low:,.{digits}f}-{high:,.{digits}f}" for low, high in row.spread.values()]
            verdict = self._verdict(row)
            table.add_row(
                row.name, row.peer, ours, ranges[0], theirs, ranges[1], f"{row.ratio:.2f}", verdict, str(row.runs)
            )
        console = Console(width=180, no_color=True)
        with console.capture() as captured:
            console.print(table)
        return captured.get()

    def _verdict(self, row: Row) -> str:
        aim, floor = self.aims.get((row.name, row.peer)), self.floors.get((row.name, row.peer))
        if aim is not None:
            return f"{'≤' if row.ratio <= aim else 'MISSED'} {aim}"
        return "" if floor is None else f"{'≥' if row.ratio >= floor else 'MISSED'} {floor}"


def machine() -> str:
    """What the figures depend on."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kernel = os.uname()
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {kernel.sysname} {kernel.release}, load {load}"


def _rounded(sample: Sample) -> tuple[float, float]:
    low, high = sample.spread
    return round(low, 3), round(high, 3)
