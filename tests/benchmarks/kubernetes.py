"""A lab with a real Kubernetes beside the same lab without: how long it takes, and how much memory it and `up` hold."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.machine import LabHost
from lab.settings import LAB_LABEL
from tests.benchmarks.measure import Sample, run
from tests.integration.production.conftest import NAME, POLICIES, PROGRAM
from tests.integration.support import ROOT, Project

FIRST: Final = "first up"
SAME: Final = "no change"
MEMORY: Final = "memory (PSS)"
GONE: Final = "destroy"
FIRST_MEMORY: Final = "first up, its own memory (RSS)"
SAME_MEMORY: Final = "no change, its own memory (RSS)"
TIMES: Final = (FIRST, SAME, GONE)
MEMORIES: Final = (MEMORY, FIRST_MEMORY, SAME_MEMORY)

WITH: Final = "with Kubernetes"
WITHOUT: Final = "without Kubernetes"

_PREFIX: Final = "sdt-bench-cluster"
_NETWORK: Final = {"prefix": _PREFIX, "subnet": "10.203.75.0/24", "subnet6": None}
_LAB: Final = ROOT / "tests" / "integration" / "cluster" / "program.py"
# Of everything in a container, pods included; shared pages are shared out.
_PSS_KIB: Final = "cat /proc/[0-9]*/smaps_rollup 2>/dev/null | awk '/^Pss:/ { sum += $2 } END { print sum }'"
_KIB_PER_MIB: Final = 1024


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A stack that is brought up both ways.

    Attributes:
        name: What it is.
        program: Its program.
        config: Its configuration; the lab's `cluster` is left out where it is brought up without.
        options: More options of `pulumi up`.
        project: The project's name.
    """

    name: str
    program: str
    config: Mapping[str, Any]
    options: Sequence[str] = ()
    project: str = "scratch"

    def configured(self, way: str) -> dict[str, Any]:
        """The configuration of one of the two ways."""
        cluster = self.config["lab"]["cluster"] if way == WITH else None
        return {**self.config, "lab": {**self.config["lab"], "cluster": cluster}}


LAB_ALONE: Final = Scenario(
    name="lab of 2 hosts",
    program=_LAB.read_text(),
    config={
        "lab": {
            **_NETWORK,
            "hosts": ["control", "worker1"],
            "cache": None,
            "cluster": {"controlPlane": "control", "workers": ["worker1"]},
        }
    },
)
STACK: Final = Scenario(
    name="lab of 5 hosts and the cache service",
    program=PROGRAM,
    config={
        "lab": {
            **_NETWORK,
            "hosts": ["app1", "lb1", "worker1", "worker2", "outsider"],
            "cluster": {"controlPlane": "worker1", "workers": ["worker2"]},
        },
        "cacheService": {
            "applicationHosts": ["app1"],
            "loadBalancer": "lb1",
            "workers": [{"host": "worker1", "localPort": 30378}, {"host": "worker2", "localPort": 30380}],
        },
        "firewall": {},
    },
    options=POLICIES,
    project=NAME,
)


class Kubernetes:
    """Measures a scenario both ways.

    Args:
        directory: For the project.
        scenario: What is brought up.
        say: Tells how far it is.
    """

    def __init__(self, directory: Path, scenario: Scenario, say: Callable[[str], None]) -> None:
        directory.mkdir(parents=True)
        self._scenario, self._say = scenario, say
        self._project = Project.create(directory, scenario.program, lab=_PREFIX, name=scenario.project)
        self._values: dict[tuple[str, str], list[float]] = {}

    def measure(self, runs: int) -> None:
        """Bring it up and take it down again, the two ways taking turns; each run begins with the other one."""
        for number in range(runs):
            for way in (WITH, WITHOUT) if number % 2 else (WITHOUT, WITH):
                self._project.configure(self._scenario.configured(way))
                self._run(FIRST, FIRST_MEMORY, way, "up", *self._scenario.options)
                self._note(MEMORY, way, self._memory(), "MiB")
                self._run(SAME, SAME_MEMORY, way, "up", *self._scenario.options)
                self._run(GONE, None, way, "destroy")

    def sample(self, what: str, way: str) -> Sample:
        """What the runs of one way gave."""
        return Sample(tuple(self._values[what, way]))

    def destroy(self) -> None:
        """Take down what a run that failed has left."""
        self._project.destroy()

    def _run(self, what: str, memory: str | None, way: str, *command: str) -> None:
        pulumi = [str(ROOT / "toolchain" / "pulumi"), "--non-interactive", *command, "--yes", "--skip-preview"]
        directory, environment = self._project.directory, self._project.environment
        done = run(pulumi, directory=directory, environment=environment, memory=memory is not None)
        self._note(what, way, done.seconds, "s")
        if memory:
            self._note(memory, way, done.peak_mib, "MiB")

    def _note(self, what: str, way: str, value: float, unit: str) -> None:
        self._say(f"{self._scenario.name}, {way}, {what}: {value:.1f} {unit}")
        self._values.setdefault((what, way), []).append(value)

    def _memory(self) -> float:
        listing = ["docker", "ps", f"--filter=label={LAB_LABEL}={_PREFIX}", "--format={{.Names}}"]
        names = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
        containers = [LabHost(name.removeprefix(f"{_PREFIX}-"), _PREFIX) for name in names]
        return sum(int(each.run(_PSS_KIB).stdout) for each in containers) / _KIB_PER_MIB
