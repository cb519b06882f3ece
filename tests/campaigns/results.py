"""Results of campaigns: a row a fault, in one file for all campaigns."""

from __future__ import annotations

import fcntl
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Campaign:
    """Takes the results of many faults.

    Attributes:
        path: The file; rows of other faults in it stay, also when campaigns run side by side.
        say: Tells people.
    """

    path: Path
    say: Callable[[str], None]

    def add(
        self,
        fault: str,
        seconds: Sequence[float],
        *,
        lost: int = 0,
        unexpected: int = 0,
        dual_writable_seconds: float = 0.0,
    ) -> None:
        """Write the results of one kind of fault; they take the place of its former ones.

        Args:
            fault: What was done, as a short text.
            seconds: How long each fault was felt, one or more.
            lost: What should have been there afterwards and was not, such as acknowledged writes.
            unexpected: Runs that ended otherwise than they must.
            dual_writable_seconds: Seconds in which two nodes took writes.
        """
        row = {
            "fault": fault,
            "runs": len(seconds),
            "rto_p50": round(percentile(seconds, 50), 2),
            "rto_p95": round(percentile(seconds, 95), 2),
            "rto_max": round(max(seconds), 2),
            "lost": lost,
            "unexpected": unexpected,
            "dual_writable_seconds": dual_writable_seconds,
        }
        self._merge(row)
        self.say(", ".join(f"{key} {value}" for key, value in row.items()))

    def _merge(self, row: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            rows = {each["fault"]: each for each in json.loads(file.read() or "[]")} | {row["fault"]: row}
            file.truncate(0)
            file.write(json.dumps(list(rows.values()), indent=2) + "\n")


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile by nearest rank: a value that really occurred."""
    return sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]
