"""Benchmarks take long and need a quiet machine: without --run-benchmarks they are deselected."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.benchmarks.report import Report, machine
from tests.integration.support import ROOT

_BUILD: Final = ROOT / "build"
_HERE: Final = Path(__file__).parent


@dataclass(frozen=True)
class Bench:
    """A run of the benchmarks.

    Attributes:
        directory: For projects, states and inventories.
        runs: How often everything is measured.
        sizes: Numbers of hosts of the previews.
        keep_hosts: Whether the lab hosts stay up for the next run.
        report: The results.
        say: Tells how far it is.
    """

    directory: Path
    runs: int
    sizes: tuple[int, ...]
    keep_hosts: bool
    report: Report
    say: Callable[[str], None]

    def empty(self, name: str) -> Path:
        """Return the path of a directory of which nothing is left."""
        path = self.directory / name
        shutil.rmtree(path, ignore_errors=True)
        return path


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("benchmarks")
    group.addoption("--run-benchmarks", action="store_true", help="run the benchmarks")
    group.addoption("--benchmark-runs", type=int, default=5, help="runs of each measurement (default 5)")
    group.addoption("--benchmark-sizes", default="10,100,1000", help="hosts of the previews (default 10,100,1000)")
    group.addoption("--benchmark-keep-hosts", action="store_true", help="leave the lab hosts up for the next run")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-benchmarks", default=False):
        return
    benchmarks = [item for item in items if _HERE in item.path.parents]
    items[:] = [item for item in items if item not in benchmarks]
    if benchmarks:
        config.hook.pytest_deselected(items=benchmarks)


@pytest.fixture(scope="session")
def bench(pytestconfig: pytest.Config) -> Iterator[Bench]:
    """The run; at its end the results are written and shown."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(text, flush=True)

    report = Report()
    begun = machine()
    say(f"\n{begun}")
    yield Bench(
        directory=_BUILD / "bench",
        runs=pytestconfig.getoption("--benchmark-runs"),
        sizes=tuple(map(int, pytestconfig.getoption("--benchmark-sizes").split(","))),
        keep_hosts=pytestconfig.getoption("--benchmark-keep-hosts"),
        report=report,
        say=say,
    )
    report.write(_BUILD / "benchmarks.json")
    say(f"\n{report.table('Medians; ratio = ours / peer')}\nbefore: {begun}\nafter:  {machine()}")
