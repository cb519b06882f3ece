"""`make bench`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.benchmarks import peers
from tests.benchmarks.conftest import Bench
from tests.benchmarks.contenders import Ansible, Contender, Ours, Pyinfra
from tests.benchmarks.converge import FIRST, LINE, PACKAGE, SAME, Convergence
from tests.benchmarks.hosts import Hosts
from tests.benchmarks.measure import Sample
from tests.benchmarks.previews import POLICIES, Previews

pytestmark = [pytest.mark.lab, pytest.mark.engine]

PARTS = {
    "before": "engine, until the first login",
    "hosts": "all hosts, first login to last logout",
    "after": "engine, after the last logout",
    "ssh": "SSH and sudo on a host",
    "runtime": "runtime on a host",
}
AIMS = {"ansible": {FIRST: 0.25, SAME: 0.08, LINE: 0.15}, "pyinfra": {FIRST: 1.0, SAME: 0.5, LINE: 1.0}}


@pytest.fixture
def hosts(bench: Bench) -> Iterator[Hosts]:
    """Six lab hosts."""
    made = Hosts(bench.directory / "hosts")
    yield made
    if not bench.keep_hosts:
        made.destroy()


def test_hosts(bench: Bench, hosts: Hosts) -> None:
    venv = peers.environment()
    ours = Ours("ours", hosts, bench.empty("ours"))
    guarded = Ours("ours with policies", hosts, bench.empty("guarded"), POLICIES.options)
    ansible = Ansible(hosts, bench.empty("ansible"), venv)
    pyinfra = Pyinfra(hosts, bench.empty("pyinfra"), venv)
    contenders: list[Contender] = [ours, ansible, guarded, pyinfra]
    times = Convergence(hosts, bench.say)
    times.measure(contenders, bench.runs)
    times.measure_with_package([ours, ansible, pyinfra])

    for scenario in (FIRST, SAME, LINE):
        name = f"{scenario}, {len(hosts.endpoints)} hosts"
        for kind, peer in (("ansible", ansible), ("pyinfra", pyinfra)):
            theirs = times.seconds(scenario, peer)
            aim = AIMS[kind][scenario]
            bench.report.compare(name, times.seconds(scenario, ours), peer.name, theirs, aim=aim)
            bench.report.compare(f"{name}, with policies", times.seconds(scenario, guarded), peer.name, theirs)
    for peer in (ansible, pyinfra):
        name = f"{PACKAGE}, {len(hosts.endpoints)} hosts"
        bench.report.compare(name, times.seconds(PACKAGE, ours), peer.name, times.seconds(PACKAGE, peer))
    for scenario in (FIRST, LINE):
        whole = times.seconds(scenario, ours)
        phases = times.phases(scenario, ours)
        for part in ("before", "hosts", "after", "ssh", "runtime"):
            sample = Sample(tuple(getattr(each, part) for each in phases))
            bench.report.compare(f"{scenario}, share of: {PARTS[part]}", sample, "our whole time", whole)


def test_previews(bench: Bench) -> None:
    Previews(bench.empty("previews"), bench.say).measure(bench.sizes, bench.runs, bench.report)
