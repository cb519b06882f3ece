"""A cache that dies behind its tunnel is left within seconds, and nobody is left behind with it."""

from __future__ import annotations

import time

import pytest

from tests.integration.haproxy.stage import CACHES, Stage, varied

pytestmark = pytest.mark.lab

_DEAD = f"cache{CACHES[0]}"
FAULTS = {
    # what happens: how, and seconds until new connections are served again with checks every 10 s and every 2 s
    "tunnel gone": (f"systemctl stop stage-tunnel@{CACHES[0]}", 2.0, 2.0),
    "cache gone behind its tunnel": (f"systemctl kill -s KILL stage-cache@4{CACHES[0]}", 12.0, 4.0),
    "cache frozen": (f"systemctl kill -s STOP stage-cache@4{CACHES[0]}", 16.0, 8.0),
}


@pytest.mark.parametrize("inter", ["10s", "2s"])
@pytest.mark.parametrize("fault", FAULTS)
def test_failover(stage: Stage, fault: str, inter: str) -> None:
    command, slow, fast = FAULTS[fault]
    limit = fast if inter == "2s" else slow
    stage.apply(varied(inter=inter))
    stage.heal()
    with stage.load(limit + 8) as load:
        struck = float(stage.host.run(f"date +%s.%N; {command}").stdout)
    noticed = max(0.0, load.last_error - struck)
    print(f"{fault}, inter {inter}: {load.errors} failed requests, the last began after {noticed:.2f} s")
    left_behind = stage.clients_of(_DEAD)
    stage.heal()
    assert noticed <= limit, load.result
    assert left_behind == 0


def test_clients_of_a_frozen_cache_are_freed_when_asked_to(stage: Stage) -> None:
    settings = varied(inter="1s", fastinter="500ms", onMarkedDown="shutdown-sessions")
    stage.apply({**settings, "timeouts": {"check": "500ms"}})
    stage.heal()
    with stage.load(12, passing=0) as load:
        stage.host.run(FAULTS["cache frozen"][0])
        deadline = time.monotonic() + 60
        while stage.states()[_DEAD] != "DOWN":
            assert time.monotonic() < deadline, stage.states()
            time.sleep(0.1)
        time.sleep(0.5)
        left_behind = stage.clients_of(_DEAD)
    stage.heal()
    assert left_behind == 0
    assert load.errors == 4, load.result  # those that had been with the frozen one


def test_a_cache_that_is_no_master_gets_nothing(stage: Stage) -> None:
    stage.apply(varied(inter="2s"))
    stage.heal()
    first, second = (f"4{each}" for each in CACHES)
    ask = f"valkey-cli -p {first} --user stage --pass any --no-auth-warning"
    stage.host.run(f"{ask} replicaof 127.0.0.1 {second}")
    try:
        deadline = time.monotonic() + 60
        while stage.states()[_DEAD] != "DOWN":
            assert time.monotonic() < deadline, stage.states()
            time.sleep(0.2)
        assert "comment: INFO" in stage.statistics("caches")[_DEAD]["last_chk"]
    finally:
        stage.host.run(f"{ask} replicaof no one")
    stage.heal()
