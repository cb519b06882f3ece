"""How long a command takes, how much memory it and its children hold, and what several runs have in common."""

from __future__ import annotations

import math
import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LIMIT_S: Final = 900
_SAMPLE_S: Final = 0.2
_SHOWN_LINES: Final = 40
_CGROUPS: Final = Path("/sys/fs/cgroup")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE_MIB: Final = os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a command.

    Attributes:
        started: When, in seconds since the epoch.
        seconds: How long it took.
        peak_mib: Most memory that its processes held together, resident, shared pages counted in each; 0 if not asked.
        text: What it wrote.
    """

    started: float
    seconds: float
    peak_mib: float
    text: str


class _Memory(threading.Thread):
    """Watches the processes of one session."""

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self._session, self._over = session, threading.Event()
        self.peak = 0.0

    def run(self) -> None:
        while not self._over.wait(_SAMPLE_S):
            self.peak = max(self.peak, sum(map(self._resident, Path("/proc").glob("[0-9]*"))))

    def stop(self) -> float:
        self._over.set()
        self.join()
        return self.peak

    def _resident(self, process: Path) -> float:
        try:
            # After the name, which may hold anything: state, parent, group, session (proc_pid_stat(5)).
            fields = (process / "stat").read_text().rpartition(") ")[2].split()
            return int(fields[21]) * _PAGE_MIB if int(fields[3]) == self._session else 0.0
        except (OSError, IndexError):
            return 0.0  # gone meanwhile


def run(command: Sequence[str | Path], *, directory: Path, environment: Mapping[str, str], memory: bool = False) -> Run:
    """Run a command to its end.

    Args:
        command: Words.
        directory: Where.
        environment: What is added to this process's.
        memory: Whether to watch its memory too.

    Raises:
        AssertionError: When it failed or hung, with the end of what it wrote.
    """
    with tempfile.TemporaryFile("w+") as output:
        started, clock = time.time(), time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        watcher = _Memory(process.pid) if memory else None
        if watcher:
            watcher.start()
        try:
            code = process.wait(_LIMIT_S)
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
        finally:
            peak = watcher.stop() if watcher else 0.0
        seconds = time.perf_counter() - clock
        output.seek(0)
        text = output.read()
    shown = "\n".join(text.splitlines()[-_SHOWN_LINES:])
    assert code == 0, f"{' '.join(map(str, command))} ended with {code}:\n{shown}"
    return Run(started=started, seconds=seconds, peak_mib=peak, text=text)


@dataclass(frozen=True, kw_only=True)
class Share:
    """Who took how much of the processors during a while.

    Attributes:
        own: Seconds that the containers took.
        others: What everybody else took, the hypervisor included, as a share of all that there was.
    """

    own: float
    others: float


class Processors:
    """Watches how much of the processors some containers take, and how much everybody else does.

    Args:
        containers: Their names.
    """

    def __init__(self, containers: Sequence[str]) -> None:
        inspect = ["docker", "inspect", "--format", "{{.Id}}", *containers]
        numbers = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.split()
        found = [path for number in numbers for path in _CGROUPS.glob(f"**/*{number}*/cpu.stat")]
        self._accounts = [path for path in found if "usage_usec " in path.read_text()]

    @contextmanager
    def watched(self) -> Iterator[list[Share]]:
        """Watch them during the block; afterwards the list has the result."""
        shares: list[Share] = []
        had, busy, own = self._now()
        yield shares
        had, busy, own = (after - before for after, before in zip(self._now(), (had, busy, own), strict=True))
        shares.append(Share(own=own, others=max(0.0, (busy - own) / had)))

    def _now(self) -> tuple[float, float, float]:
        # proc_stat(5): user nice system idle iowait irq softirq steal.
        ticks = [int(word) / _TICKS for word in Path("/proc/stat").read_text().split(maxsplit=9)[1:9]]
        own = sum(int(path.read_text().split()[1]) for path in self._accounts) / 1e6
        return sum(ticks), sum(ticks) - ticks[3] - ticks[4], own


@dataclass(frozen=True)
class Sample:
    """What several runs gave."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest."""
        return min(self.values), max(self.values)


def exponent(medians: Mapping[int, float]) -> float:
    """The k of time ~ n**k, by least squares on logarithms."""
    return statistics.linear_regression([math.log(n) for n in medians], [math.log(t) for t in medians.values()]).slope
