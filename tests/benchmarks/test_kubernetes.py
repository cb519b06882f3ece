"""What a real Kubernetes costs a lab: `make bench`, or this file alone."""

from __future__ import annotations

import pytest

from lab import __main__ as lab_commands
from tests.benchmarks.conftest import Bench
from tests.benchmarks.kubernetes import LAB_ALONE, MEMORIES, STACK, TIMES, WITH, WITHOUT, Kubernetes, Scenario

pytestmark = [pytest.mark.lab, pytest.mark.engine]


@pytest.mark.parametrize("scenario", [LAB_ALONE, STACK], ids=["lab", "stack"])
def test_kubernetes(bench: Bench, scenario: Scenario, request: pytest.FixtureRequest) -> None:
    lab_commands.build_cluster()
    both = Kubernetes(bench.empty("kubernetes"), scenario, bench.say)
    request.addfinalizer(both.destroy)
    both.measure(bench.runs)
    for what in (*TIMES, *MEMORIES):
        unit = "MiB" if what in MEMORIES else "s"
        ours, theirs = both.sample(what, WITH), both.sample(what, WITHOUT)
        bench.report.compare(f"{scenario.name}, {WITH}: {what}", ours, WITHOUT, theirs, unit=unit)
