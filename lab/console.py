"""What the lab says while it works: what, how far, how long."""

import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

HEARTBEAT_SECONDS = 10
"""How often a long step says how far it is where there is no terminal."""
QUOTED_LINES = 15
"""How many lines of a failed command its error repeats."""

console = Console(highlight=False, soft_wrap=True)


class LabError(Exception):
    """Something the user has to know or do; its text says what is wrong and how to put it right."""


class Step:
    """One long step: the commands it runs, and a line that says how far they are."""

    def __init__(self, title: str, live: Progress) -> None:
        self.title = title
        self._live = live
        self._task = live.add_task(title, total=None, line="")
        self._started = self._spoke = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the step has taken so far."""
        return time.monotonic() - self._started

    def show(self, line: str) -> None:
        """Says how far the step is."""
        self._live.update(self._task, line=line[:70])
        if not console.is_terminal and time.monotonic() - self._spoke > HEARTBEAT_SECONDS:
            self._spoke = time.monotonic()
            console.print(f"  {self.seconds:.0f} s: {line}", markup=False)

    def run(self, *command: str | Path, stdin: IO[bytes] | None = None) -> None:
        """Runs one command and shows what it writes.

        Raises:
            LabError: The command failed; with the end of what it wrote.
        """
        last = deque[str](maxlen=QUOTED_LINES)
        with subprocess.Popen(
            command,
            stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            for line in process.stdout or ():
                last.append(line.rstrip())
                self.show(last[-1])
        if process.returncode:
            raise LabError(f"{self.title}: {command[0]} failed with {process.returncode}:\n" + "\n".join(last))


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Announces a long step, shows how far it is, and says how long it took."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[line]}"),
    )
    if not console.is_terminal:
        console.print(f"{title} …")
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as live:
        current = Step(title, live)
        yield current
    console.print(f"{title}: done in {current.seconds:.0f} s")


def answer(*command: str, timeout: float = 30) -> str | None:
    """What a short command wrote, or None where it failed, hung or is not installed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
