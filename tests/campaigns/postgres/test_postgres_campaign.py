"""Many faults of a pair: how long an application cannot write, and that nothing confirmed is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.campaigns.results import Campaign
from tests.integration.postgres.faults import (
    CUT_OFF,
    FAULTS,
    HOST_LOST,
    POSTMASTER_KILLED,
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
_DEFAULTS: Final[dict[str, Any]] = {"ttl": 30, "loopWait": 10, "retryTimeout": 10, "primaryStartTimeout": 300}
# With these a killed server is started again where it was.
_COMPARED: Final = (replace(POSTMASTER_KILLED, leader=Leader.EITHER), SWITCHOVER, HOST_LOST)
_LOOPS: Final = 5


def caused(pair: Stack, fault: Fault, runs: int, campaign: Campaign, name: str) -> list[Felt]:
    """Cause a fault many times; return what ended otherwise than it has to."""
    watch(pair)
    all_felt = [strike(pair, fault) for _ in range(runs)]
    otherwise = [felt for felt in all_felt if felt.unexpected or not felt.fits(fault)]
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


@pytest.mark.parametrize("fault", _COMPARED, ids=lambda fault: fault.name)
def test_faults_with_the_timings_of_patroni(pair: Stack, fault: Fault, runs: int, campaign: Campaign) -> None:
    if pair.configured != {**PAIR, "failover": _DEFAULTS}:
        pair.up({**PAIR, "failover": _DEFAULTS})
    caused(pair, fault, runs, campaign, f"{fault.name}, Patroni's default timings")


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
