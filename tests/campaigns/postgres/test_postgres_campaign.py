"""Many faults of a pair: how long an application cannot write, and that nothing confirmed is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.campaigns.results import Campaign
from tests.integration.postgres.faults import (
    CUT_OFF,
    FAULTS,
    HOST_LOST,
    HOST_LOST_WITH_ETCD,
    POSTMASTER_KILLED,
    STANDBY_LOST,
    STANDBY_LOST_WITH_ETCD,
    SWITCHOVER,
    Fault,
    Felt,
    Leader,
    strike,
    watch,
)
from tests.integration.postgres.stack import PAIR, Stack

pytestmark = [pytest.mark.engine, pytest.mark.lab]

#: What Patroni does when nobody tells it otherwise.
_DEFAULTS: Final[dict[str, Any]] = {
    "failover": {"ttl": 30, "loopWait": 10, "retryTimeout": 10, "primaryStartTimeout": 300}
}
# With these a killed server is started again where it was.
#: What the timings were chosen among, by what they make of the worst losses.
_TIMINGS: Final[dict[str, dict[str, Any]]] = {
    "retryTimeout 3": {"failover": {"retryTimeout": 3}},
    "retryTimeout 9": {"failover": {"retryTimeout": 9}},
    "etcd's timings halved": {"etcd": {"heartbeatMs": 50, "electionMs": 500}},
}
_COMPARED: Final = (replace(POSTMASTER_KILLED, leader=Leader.EITHER), SWITCHOVER, HOST_LOST, CUT_OFF, STANDBY_LOST)
_LOOPS: Final = 5

Timed = Callable[[Mapping[str, Any]], Stack]


def caused(pair: Stack, fault: Fault, runs: int, campaign: Campaign, name: str) -> list[Felt]:
    """Cause a fault many times; return what ended otherwise than it has to."""
    watch(pair)
    all_felt: list[Felt] = []
    otherwise: list[Felt] = []
    for _ in range(runs):
        felt = strike(pair, fault)
        all_felt.append(felt)
        if felt.unexpected or not felt.fits(fault):
            otherwise.append(felt)
        # After each one: a campaign that is cut off keeps what it has.
        campaign.add(
            f"PostgreSQL: {name}",
            [felt.seconds for felt in all_felt],
            lost=sum(felt.lost for felt in all_felt),
            unexpected=len(otherwise),
            dual_writable_seconds=sum(felt.both for felt in all_felt),
        )
    assert [felt for felt in all_felt if felt.lost or felt.both] == []
    return otherwise


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_faults(pair: Stack, fault: Fault, runs: int, campaign: Campaign) -> None:
    assert caused(pair, fault, runs, campaign, fault.name) == []


@pytest.fixture
def timed(_stack: Stack) -> Timed:
    """Brings the pair to other timings, unless it has them already."""

    def bring(timings: Mapping[str, Any]) -> Stack:
        if _stack.configured != (wanted := {**PAIR, **timings}):
            _stack.up(wanted)
        return _stack

    return bring


@pytest.mark.parametrize("fault", _COMPARED, ids=lambda fault: fault.name)
def test_faults_with_the_timings_of_patroni(timed: Timed, fault: Fault, runs: int, campaign: Campaign) -> None:
    assert caused(timed(_DEFAULTS), fault, runs, campaign, f"{fault.name}, Patroni's default timings") == []


@pytest.mark.parametrize("fault", [HOST_LOST_WITH_ETCD, STANDBY_LOST_WITH_ETCD], ids=lambda fault: fault.name)
@pytest.mark.parametrize("timings", _TIMINGS)
def test_faults_with_other_timings(timed: Timed, timings: str, fault: Fault, runs: int, campaign: Campaign) -> None:
    # What ends otherwise is counted: a healthy primary that gives up speaks against these timings.
    caused(timed(_TIMINGS[timings]), fault, runs, campaign, f"{fault.name}, {timings}")


@contextmanager
def busy() -> Iterator[None]:
    """Keep the machine busy that all hosts of the lab share."""
    loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(_LOOPS)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def test_a_leader_that_is_cut_off_on_a_busy_machine(pair: Stack, runs: int, campaign: Campaign) -> None:
    with busy():
        assert caused(pair, CUT_OFF, runs, campaign, f"{CUT_OFF.name}, {_LOOPS} busy loops beside it") == []
