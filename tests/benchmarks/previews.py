"""Previews of many hosts beside the bare engine's of as many resources."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks.measure import Run, Sample, exponent, run
from tests.benchmarks.report import Report
from tests.integration.support import ROOT, Project

_PROGRAMS: Final = Path(__file__).parent / "programs"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of preview.

    Attributes:
        name: As the results call it.
        program: File in programs/.
        options: More options of `pulumi preview`.
        aim: Greatest ratio to the bare engine wished for at the greatest size.
    """

    name: str
    program: str
    options: tuple[str, ...] = ()
    aim: float | None = None


OURS: Final = Kind(name="preview", program="many.py", aim=1.3)
POLICIES: Final = Kind(
    name="preview with policies", program="many.py", options=("--policy-pack", str(ROOT / "policies")), aim=2.0
)
EMPTY: Final = Kind(name="bare engine, as many empty component resources", program="empty.py")
PLAIN: Final = Kind(name="bare SDK, the same kinds of resources almost empty", program="plain.py")
_KINDS: Final = (EMPTY, OURS, POLICIES, PLAIN)


class Previews:
    """Measures previews.

    Args:
        directory: An empty directory for the projects.
        say: Tells how far it is.
    """

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self._say = say
        self._projects: dict[str, Project] = {}
        for program in {kind.program for kind in _KINDS}:
            place = directory / program
            place.mkdir(parents=True)
            self._projects[program] = Project.create(place, (_PROGRAMS / program).read_text())

    def measure(self, sizes: Sequence[int], runs: int, report: Report) -> None:
        """Measure time and memory at each size, the kinds taking turns, and how the time grows."""
        medians: dict[Kind, dict[int, float]] = {kind: {} for kind in _KINDS}
        for hosts in sizes:
            done = self._measure(hosts, runs)
            seconds = {kind: Sample(tuple(each.seconds for each in all_)) for kind, all_ in done.items()}
            memory = {kind: Sample(tuple(each.peak_mib for each in all_)) for kind, all_ in done.items()}
            for kind in _KINDS:
                medians[kind][hosts] = seconds[kind].median
            for kind, peer in ((OURS, EMPTY), (POLICIES, EMPTY), (OURS, PLAIN)):
                aim = kind.aim if peer is EMPTY and hosts == max(sizes) else None
                name = f"{kind.name}, {hosts:,} hosts"
                report.compare(name, seconds[kind], peer.name, seconds[peer], aim=aim)
                report.compare(f"{name}: memory", memory[kind], peer.name, memory[peer], unit="MiB")
        for kind in (OURS, POLICIES) if len(sizes) > 1 else ():
            ours, theirs = (Sample((exponent(medians[each]),)) for each in (kind, EMPTY))
            name = f"{kind.name}, {min(sizes)} to {max(sizes):,} hosts: exponent"
            report.compare(name, ours, EMPTY.name, theirs, unit="")

    def _measure(self, hosts: int, runs: int) -> dict[Kind, list[Run]]:
        # The first preview is not counted: it fills caches, and tells how many resources a host has.
        created = re.search(r"\+ (\d+) to create", self._preview(OURS, {"hosts": hosts}).text)
        assert created, "the preview tells how many resources it would create"
        config = {"hosts": hosts, "resources": int(created[1]) - 1}  # without the stack itself
        done: dict[Kind, list[Run]] = {kind: [] for kind in _KINDS}
        for number in range(runs):
            first = number % len(_KINDS)
            for kind in (*_KINDS[first:], *_KINDS[:first]):
                last = self._preview(kind, config)
                done[kind].append(last)
                self._say(f"{hosts} hosts, {kind.name}: {last.seconds:.2f} s, {last.peak_mib:.0f} MiB")
        return done

    def _preview(self, kind: Kind, config: dict[str, int]) -> Run:
        project = self._projects[kind.program]
        project.configure(config)
        return run(
            [str(ROOT / "toolchain" / "pulumi"), "--non-interactive", "--color=never", "preview", *kind.options],
            directory=project.directory,
            environment={**project.environment, "PYTHONDONTWRITEBYTECODE": ""},
            memory=True,
        )
