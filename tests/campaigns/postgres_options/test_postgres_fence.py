"""A leader that is gone is switched off, and its standby waits no longer; one that is not gone is left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import pytest

from tests.campaigns.postgres_options.conftest import PLAIN
from tests.campaigns.postgres_options.power import Kind, Switch, switch
from tests.campaigns.results import Campaign
from tests.integration.postgres.faults import HOST_LOST, strike, watch
from tests.integration.postgres.stack import DATABASE, HOSTS, NODES, Stack, Written
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

_MACHINE: Final = "10.203.62.1"
_PROGRAM: Final = "/usr/local/bin/power-off"
_FENCE: Final[dict[str, Any]] = {"command": [_PROGRAM, "--real"], "timeout": 6, "silence": 2}
_TAKE_OVER_S: Final = 90
_REMOVED: Final = "removed the lock of"
_UNCONFIRMED: Final = "does not confirm"


class Fenced(NamedTuple):
    """A pair with a fence, and the switch that this asks."""

    pair: Stack
    power: Switch


@pytest.fixture(scope="module")
def _fenced(stack: Stack) -> Iterator[Fenced]:
    def cut(name: str) -> None:
        # That it is off already is as good.
        if stack.host(name).is_on:
            stack.host(name).kill()

    with switch(_MACHINE, cut) as power:
        for host in NODES:
            # Its first argument is a constant of the configuration; the node's name comes after.
            text = f"#!/bin/sh\nexec curl -fsS -X POST http://{_MACHINE}:{power.port}/$2\n"
            stack.host(host).run(f"cat > {_PROGRAM} && chmod 0755 {_PROGRAM}", stdin=text)
        stack.up({**PLAIN, "fence": _FENCE})
        yield Fenced(stack, power)
        stack.up(None)
        stack.remove_data()


@pytest.fixture
def fenced(_fenced: Fenced) -> Fenced:
    """It, both nodes well, and the switch a real one."""
    _fenced.pair.wait_until_whole()
    _fenced.power.kind = Kind.REAL
    _fenced.power.asked.clear()
    return _fenced


def others(pair: Stack, host: str) -> list[str]:
    return [pair.addresses[each] for each in HOSTS if each != host]


def told(pair: Stack, host: str, since: str) -> str:
    """What the watcher on a node has told since then."""
    return pair.host(host).run(["journalctl", "-u", "postgres-pair-fence", "-o", "cat", "--since", since]).stdout


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


def nothing_lost(pair: Stack, written: Written) -> None:
    found = pair.read()
    assert written.numbers
    assert sorted(written.numbers - found) == []
    assert sorted(found - set(written.attempted)) == []


def test_a_program_that_is_not_there_is_refused(stack: Stack, fenced: Fenced) -> None:
    refused = stack.up({**PLAIN, "fence": {**_FENCE, "command": ["/nowhere/power-off"]}}, check=False)
    assert refused.code != 0
    assert "/nowhere/power-off is no program that nobody may run" in refused.text
    stack.up({**PLAIN, "fence": _FENCE})


def test_a_leader_that_is_gone_is_switched_off(fenced: Fenced) -> None:
    pair, power = fenced
    leader, start = pair.leader(), now()
    standby = pair.other(leader)
    with pair.writing() as written:
        with pair.host(leader).cut_off_from(*others(pair, leader)):
            wait_for(lambda: pair.leads(standby), _TAKE_OVER_S)
        assert power.asked == [leader]
        assert f"{_REMOVED} {leader}" in told(pair, standby, start)
        pair.host(leader).start()
        pair.wait_until_whole()
    nothing_lost(pair, written)

    assert pair.leader() == standby
    assert f"+ {leader} was fenced at " in pair.pair(standby, "status").stdout


def test_a_leader_that_lost_its_power_is_replaced(fenced: Fenced, runs: int, campaign: Campaign) -> None:
    pair, power = fenced
    watch(pair)
    all_felt = []
    for _ in range(runs):
        start = now()
        felt = strike(pair, HOST_LOST)
        assert f"{_REMOVED} {felt.former}" in told(pair, felt.leader, start)
        all_felt.append(felt)
    campaign.add(
        f"PostgreSQL: {HOST_LOST.name}, with a fence",
        [felt.seconds for felt in all_felt],
        lost=sum(felt.lost for felt in all_felt),
        unexpected=sum(bool(felt.unexpected) or not felt.fits(HOST_LOST) for felt in all_felt),
        dual_writable_seconds=sum(felt.both for felt in all_felt),
    )
    assert [felt for felt in all_felt if felt.lost or felt.unexpected or felt.both] == []
    assert power.asked == [felt.former for felt in all_felt]


@pytest.mark.parametrize("kind", [Kind.FAILS, Kind.HANGS])
def test_without_a_confirmation_the_lease_decides(fenced: Fenced, kind: Kind) -> None:
    pair, power = fenced
    power.kind = kind
    leader, start = pair.leader(), now()
    standby = pair.other(leader)
    with pair.host(leader).cut_off_from(*others(pair, leader)):
        wait_for(lambda: _UNCONFIRMED in told(pair, standby, start), _TAKE_OVER_S)
        wait_for(lambda: pair.leads(standby), _TAKE_OVER_S)
        wait_for(lambda: "curl" not in pair.host(standby).run("ps -e -o comm").stdout, _TAKE_OVER_S)
    assert _REMOVED not in told(pair, standby, start)
    assert leader in power.asked


def test_a_fence_that_lies_loses_nothing_that_was_confirmed(fenced: Fenced) -> None:
    pair, power = fenced
    power.kind = Kind.LIES
    leader, start = pair.leader(), now()
    standby = pair.other(leader)
    pair.postgres(leader, "CREATE TABLE IF NOT EXISTS lied (number int)", database=DATABASE)
    insert = "timeout 2 runuser -u postgres -- psql -XAtqd lunadirectordb -c 'INSERT INTO lied VALUES (1)'"
    confirmed = 0
    with pair.host(leader).cut_off_from(*others(pair, leader)):
        while not pair.leads(standby):
            confirmed += pair.host(leader).run(insert, check=False).returncode == 0
        # There are two primaries now, until the former one has given up; it still confirms nothing.
        for _ in range(5):
            confirmed += pair.host(leader).run(insert, check=False).returncode == 0
    assert f"{_REMOVED} {leader}" in told(pair, standby, start)
    pair.wait_until_whole()
    # By default nobody is ever fenced: that a command said so is told from then on.
    assert f"+ {leader} was fenced at " in pair.pair(standby, "status").stdout
    assert confirmed == 0
    assert pair.postgres(pair.leader(), "SELECT count(*) FROM lied", database=DATABASE).stdout == "0\n"


def test_a_host_that_answers_is_left_alone(fenced: Fenced) -> None:
    pair, power = fenced
    leader = pair.leader()
    # Nothing listens any more: the host says so.
    pair.host(leader).run("systemctl kill --signal=KILL patroni etcd")
    pair.host(leader).run("systemctl stop patroni etcd")
    try:
        wait_for(lambda: pair.leads(pair.other(leader)), _TAKE_OVER_S)
    finally:
        pair.host(leader).run("systemctl start etcd patroni")
    assert power.asked == []


def test_nobody_is_switched_off_while_failover_is_paused(fenced: Fenced) -> None:
    pair, power = fenced
    leader = pair.leader()
    standby = pair.other(leader)
    pair.pair(leader, "pause", "--wait")
    try:
        with pair.host(leader).cut_off_from(*others(pair, leader)):
            lock = ["postgres-pair", "list", "-f", "json"]
            wait_for(
                lambda: all(each["Role"] != "Leader" for each in json.loads(pair.host(standby).run(lock).stdout)),
                _TAKE_OVER_S,
            )
    finally:
        pair.pair(standby, "resume")
    assert power.asked == []
    assert pair.leader() == leader
