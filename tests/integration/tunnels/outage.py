"""How long a fault is felt by those who connect through a tunnel."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

from lab.machine import LabHost

HEALS_WITHIN_S: Final = 60.0
"""What has not healed by then gave up."""

_PINGER: Final = Path(__file__).with_name("pinger.py")
_SETTLED_S: Final = 2.0


@dataclass(frozen=True)
class Attempt:
    """One connection: when it began and ended, and whether it was answered."""

    began: float
    ended: float
    answered: bool


@dataclass
class Client:
    """A client that asks 20 times a second while the context lasts; its clock is `time.monotonic()`.

    Attributes:
        host: Where it runs.
        port: Port on that host's loopback.
        lasting: Whether it keeps one connection; else each question has its own.
    """

    host: LabHost
    port: int
    lasting: bool = False
    _attempts: list[Attempt] = field(default_factory=list)

    def __enter__(self) -> Client:
        pinger = ["python3", "-c", _PINGER.read_text(), "127.0.0.1", str(self.port)]
        self._process = subprocess.Popen(
            ["docker", "exec", "--interactive", self.host.container, *pinger, "lasting" if self.lasting else "anew"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.healed(time.monotonic())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in iter(self._process.stdout.readline, ""):
            began, ended, answered = json.loads(line)
            self._attempts.append(Attempt(began, ended, answered))

    @property
    def failures(self) -> int:
        """How many questions were not answered."""
        return sum(not each.answered for each in list(self._attempts))

    @property
    def answers(self) -> int:
        """How many were."""
        return sum(each.answered for each in list(self._attempts))

    def healed(self, since: float, *, watched_for: float = 0.0) -> float:
        """Wait until all is well, and has been for a while.

        Args:
            since: When the fault was caused or, for one that lasts, was over.
            watched_for: Seconds after `since` in which the fault may still begin to be felt.

        Returns:
            Seconds from `since` to the first answer after the last failure; 0 where nothing failed from then on.

        Raises:
            TimeoutError: It has not healed.
        """
        while True:
            attempts = [each for each in list(self._attempts) if each.ended >= since]
            failures = [each.began for each in attempts if not each.answered]
            last = max(failures, default=since)
            well = [each.ended for each in attempts if each.answered and each.began > last]
            now = time.monotonic()
            if well and max(well) - max(last, since) >= _SETTLED_S and now - since >= watched_for:
                return max(min(well) - since, 0.0) if failures else 0.0
            if now - since > watched_for + HEALS_WITHIN_S:
                raise TimeoutError(
                    f"127.0.0.1:{self.port} on {self.host.name} has not healed after {now - since:.0f} s"
                )
            time.sleep(0.1)
