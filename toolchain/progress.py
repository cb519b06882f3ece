"""What is being done, how far it is and how long it has taken: live on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

INTERVAL = 15.0  # seconds between two plain lines about one thing

Update = Callable[[str], None]
"""Says how far a thing is. May be called often, and from any thread."""


def say(text: str) -> None:
    """Print a line about the toolchain as a whole."""
    print(f"toolchain: {text}", file=sys.stderr, flush=True)


class Report:
    """Tells about several things that are done side by side."""

    def __init__(self, live: Progress | None) -> None:
        self._live = live

    @contextmanager
    def doing(self, what: str) -> Iterator[Update]:
        """Tell about one thing, from its start to its end."""
        if live := self._live:
            task = live.add_task(what, total=1, state="")
            yield lambda state: live.update(task, state=state)
            live.update(task, completed=1, state="done")
            return
        started = said = time.monotonic()

        def elapsed() -> str:
            minutes, seconds = divmod(int(time.monotonic() - started), 60)
            return f"{minutes}:{seconds:02}"

        def update(state: str) -> None:
            nonlocal said
            if time.monotonic() - said > INTERVAL:
                said = time.monotonic()
                say(f"{what}: {state} ({elapsed()})")

        say(f"{what}: started")
        yield update
        say(f"{what}: done ({elapsed()})")


@contextmanager
def report() -> Iterator[Report]:
    """Begin to tell: with moving lines if somebody looks at a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Report(None)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}: {task.fields[state]}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as live:
        yield Report(live)
