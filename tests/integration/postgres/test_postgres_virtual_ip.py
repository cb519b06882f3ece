"""The virtual IP is where the leader is: after an `up`, after a switchover, and while Patroni restarts."""

from __future__ import annotations

import pytest

from tests.integration.postgres.stack import ADDRESSES, DATABASE, NODES, PAIR, VIP, Stack
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

_MOVES_S = 60


def asked(pair: Stack) -> str:
    """The node that answers at the virtual IP, which has to show a certificate for it."""
    told = pair.psql(f"host={VIP} sslmode=verify-full", "SELECT pg_is_in_recovery()")
    assert told.stdout.strip() in ("f", ""), told
    return pair.holders()[0] if told.returncode == 0 else ""


def test_the_leader_has_the_address(pair: Stack) -> None:
    assert pair.holders() == [pair.leader()]
    assert asked(pair) == pair.leader()
    assert pair.outputs["virtualAddresses"] == [VIP]
    assert f"@{VIP}:5432/{DATABASE}?" in pair.outputs["dsns"][DATABASE]
    assert "sslmode=verify-full" in pair.outputs["dsns"][DATABASE]


def test_both_servers_listen_on_it(pair: Stack) -> None:
    for host in NODES:
        assert f"{VIP}:5432" in pair.host(host).run("ss -Hltn sport = :5432").stdout


def test_it_moves_with_a_switchover(pair: Stack) -> None:
    former = pair.leader()
    pair.pair(former, "switchover", "--candidate", pair.other(former), "--force")
    wait_for(lambda: pair.holders() == [pair.other(former)], _MOVES_S)
    wait_for(lambda: asked(pair) == pair.other(former), _MOVES_S)
    pair.wait_until_whole()
    assert pair.project.up().unchanged


def test_it_stays_while_patroni_restarts(pair: Stack) -> None:
    leader, host = pair.leader(), pair.host(pair.leader())
    watched = "/run/moved"
    watch = f"systemd-run --collect --unit=watch sh -c 'ip -o monitor address >{watched}'"
    host.run(f"{watch}; until [ -e {watched} ]; do sleep 0.1; done")
    try:
        host.run("systemctl kill -s KILL --kill-whom=main patroni")
        wait_for(lambda: pair.leads(leader), _MOVES_S)
    finally:
        host.run("systemctl stop watch")
    assert VIP not in host.run(["cat", watched]).stdout
    assert pair.leader() == leader


def test_a_pair_without_it_gives_it_back(pair: Stack) -> None:
    without = {key: value for key, value in PAIR.items() if key != "virtualIp"}
    pair.up(without)
    assert pair.holders() == []
    assert f"@{ADDRESSES['db1']}:5432,{ADDRESSES['db2']}:5432/" in pair.outputs["dsns"][DATABASE]
    pair.up(PAIR)
    pair.wait_until_whole()
    assert asked(pair) == pair.leader()
