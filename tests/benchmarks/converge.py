"""The contenders side by side on the same hosts: first converge, no change, one changed line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tests.benchmarks.contenders import Contender, Ours
from tests.benchmarks.hosts import Hosts, Phases
from tests.benchmarks.measure import Sample

FIRST: Final = "first converge"
SAME: Final = "no change"
LINE: Final = "one changed line"
PACKAGE: Final = "first converge with the package from apt"

_BEFORE: Final = 4000
_AFTER: Final = 4001


class Convergence:
    """Measures the contenders.

    Args:
        hosts: What they converge.
        say: Tells how far it is.
    """

    def __init__(self, hosts: Hosts, say: Callable[[str], None]) -> None:
        self._hosts, self._say = hosts, say
        self._seconds: dict[tuple[str, str], list[float]] = {}
        self._phases: dict[tuple[str, str], list[Phases]] = {}

    def measure(self, contenders: Sequence[Contender], runs: int) -> None:
        """Measure all scenarios with the package on the hosts.

        Each run begins with another contender. One run before the first is not counted: it fills caches.
        """
        self._hosts.remember_start()
        for number in range(runs + 1):
            first = number % len(contenders)
            for contender in (*contenders[first:], *contenders[:first]):
                self._hosts.check_start()
                for scenario in (FIRST, SAME, LINE):
                    self._one(contender, scenario, counts=number > 0)
                contender.leave()
        self._hosts.check_start()

    def measure_with_package(self, contenders: Sequence[Contender]) -> None:
        """Measure the first converge once more, on hosts that have fresh package lists and do not have the package."""
        self._hosts.update_package_lists()
        self._hosts.remember_start_without_package()
        for contender in contenders:
            self._hosts.check_start()
            self._one(contender, PACKAGE, counts=True)
            contender.leave()
            self._hosts.reset_without_package()

    def seconds(self, scenario: str, contender: Contender) -> Sample:
        """How long one contender's runs of one scenario took."""
        return Sample(tuple(self._seconds[scenario, contender.name]))

    def phases(self, scenario: str, contender: Ours) -> list[Phases]:
        """Where that time went."""
        return self._phases[scenario, contender.name]

    def _one(self, contender: Contender, scenario: str, *, counts: bool) -> None:
        maxconn = _AFTER if scenario == LINE else _BEFORE
        before = self._hosts.processes() if scenario in (SAME, LINE) else {}
        run = contender.converge(maxconn)
        self._hosts.check_end(maxconn)
        for name, (main, workers) in self._hosts.processes().items() if before else ():
            assert main == before[name][0], f"{contender.name} restarted HAProxy on {name}: {scenario}"
            assert (workers == before[name][1]) == (scenario == SAME), f"{contender.name} on {name}: {scenario}"
        self._say(f"{scenario}, {contender.name}: {run.seconds:.2f} s{'' if counts else ' (does not count)'}")
        if counts:
            self._seconds.setdefault((scenario, contender.name), []).append(run.seconds)
        if counts and isinstance(contender, Ours) and scenario != SAME:
            self._phases.setdefault((scenario, contender.name), []).append(self._hosts.phases(run))
