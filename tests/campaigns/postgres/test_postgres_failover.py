"""Who takes over when the primary is gone, and that nothing confirmed is lost."""

from __future__ import annotations

import time

import pytest

from tests.integration.postgres.stack import ADDRESSES, PAIR, Stack, Written
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

_TAKE_OVER_S = 90


def nothing_lost(pair: Stack, written: Written) -> None:
    found = pair.read()
    assert written.numbers
    assert sorted(written.numbers - found) == []
    assert sorted(found - set(written.attempted)) == []


def confirms_again(pair: Stack) -> None:
    """Wait until writes are confirmed that were not before."""
    before = pair.rows()
    wait_for(lambda: pair.rows() > before + 5, _TAKE_OVER_S)


def test_the_standby_takes_over_from_a_killed_server(pair: Stack) -> None:
    former, before = pair.leader(), pair.timeline()
    with pair.writing() as written:
        pair.host(former).run(["kill", "-KILL", pair.postmaster(former)])
        wait_for(lambda: pair.leads(pair.other(former)), _TAKE_OVER_S)
        confirms_again(pair)
    # The former primary comes back as the standby by itself.
    pair.wait_until_whole()
    assert pair.leader() != former
    assert pair.timeline() > before
    assert not pair.leads(former)
    nothing_lost(pair, written)
    assert pair.project.up().unchanged


def test_a_person_switches_over(pair: Stack) -> None:
    former = pair.leader()
    with pair.writing() as written:
        pair.pair(former, "switchover", "--candidate", pair.other(former), "--force")
        wait_for(lambda: pair.leads(pair.other(former)), _TAKE_OVER_S)
        confirms_again(pair)
    pair.wait_until_whole()
    nothing_lost(pair, written)
    assert pair.project.up().unchanged


def test_a_change_after_a_failover_moves_nobody(pair: Stack) -> None:
    former = pair.leader()
    pair.pair(former, "switchover", "--candidate", pair.other(former), "--force")
    pair.wait_until_whole()
    now = pair.leader()
    pair.up({**PAIR, "parameters": {"log_min_duration_statement": "1s"}})
    assert pair.leader() == now
    for host in ("db1", "db2"):
        assert pair.postgres(host, "SHOW log_min_duration_statement").stdout == "1s\n"


def test_a_restart_is_rolled_and_the_standby_takes_over_first(pair: Stack) -> None:
    former = pair.leader()
    with pair.writing() as written:
        pair.up({**PAIR, "connections": {"limit": 250}})
        confirms_again(pair)
    for host in ("db1", "db2"):
        assert pair.postgres(host, "SHOW max_connections").stdout == "250\n"
    assert pair.leader() != former
    nothing_lost(pair, written)


def test_a_limit_is_lowered_on_the_primary_first(pair: Stack) -> None:
    pair.up({**PAIR, "connections": {"limit": 150}})
    for host in ("db1", "db2"):
        assert pair.postgres(host, "SHOW max_connections").stdout == "150\n"
    assert not any(each.get("Pending restart") for each in pair.members())


def test_a_paused_pair_stays_paused(pair: Stack) -> None:
    former = pair.leader()
    pair.pair(former, "pause", "--wait")
    try:
        pair.up({**PAIR, "parameters": {"log_min_duration_statement": "2s"}})
        assert "automatic failover is off" in pair.pair(former, "status").stdout
        pair.host(former).run(["kill", "-KILL", pair.postmaster(former)])
        time.sleep(5)
        assert not pair.leads(pair.other(former))
    finally:
        pair.pair(former, "resume")
    pair.wait_until_whole()


def test_a_lost_standby_never_takes_the_primary_along(pair: Stack) -> None:
    leader, before = pair.leader(), pair.timeline()
    pair.lead_etcd(pair.other(leader))
    with pair.writing() as written:
        pair.host(pair.other(leader)).kill()
        confirms_again(pair)
        assert pair.leads(leader)
        assert pair.timeline() == before
        pair.host(pair.other(leader)).start()
        pair.wait_until_whole()
    assert (pair.leader(), pair.timeline()) == (leader, before)
    nothing_lost(pair, written)


def test_etcds_leader_is_not_moved_while_a_member_is_away(pair: Stack) -> None:
    leader = pair.leader()
    pair.lead_etcd(leader)
    pair.host(pair.other(leader)).run("systemctl stop etcd")
    time.sleep(60)
    states = pair.host("witness").run("journalctl -u patroni-etcd-leader --since -1min --no-pager").stdout
    pair.host(pair.other(leader)).run("systemctl start etcd")
    assert "etcd's leader came" not in states
    wait_for(lambda: pair.etcd_leader() == "witness", _TAKE_OVER_S)


def test_a_lost_host_is_replaced_and_comes_back_as_the_standby(pair: Stack) -> None:
    former = pair.leader()
    with pair.writing() as written:
        pair.host(former).kill()
        wait_for(lambda: pair.leads(pair.other(former)), _TAKE_OVER_S)
        confirms_again(pair)
        pair.host(former).start()
        pair.wait_until_whole()
    assert pair.leader() != former
    nothing_lost(pair, written)


def test_a_primary_that_is_cut_off_confirms_nothing(pair: Stack) -> None:
    former = pair.leader()
    others = [address for host, address in ADDRESSES.items() if host != former]
    with pair.writing() as written:
        with pair.host(former).cut_off_from(*others):
            wait_for(lambda: pair.leads(pair.other(former)), _TAKE_OVER_S)
            confirms_again(pair)
            assert not pair.leads(former)
        pair.wait_until_whole()
    nothing_lost(pair, written)
