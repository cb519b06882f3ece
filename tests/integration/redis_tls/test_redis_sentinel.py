"""A primary, its replicas and their Sentinels: who takes over, and what an `up` makes of it."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import pytest
import redis

from tests.integration.redis_tls.faults import CONFIGURATION as THREE
from tests.integration.redis_tls.faults import FAULTS, Fault, in_sync, primary, sentinel, strike, wait_for
from tests.integration.redis_tls.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.lab]


@pytest.fixture
def group(stack: Stack) -> Stack:
    """The group as configured by default, every node well."""
    stack.up(THREE)
    wait_for(lambda: in_sync(stack))
    return stack


def test_clients_find_the_primary_and_a_replica(group: Stack) -> None:
    watch = sentinel(group)
    assert watch.master_for("orders").set("key", "value")
    wait_for(lambda: watch.slave_for("orders").get("key") == b"value")
    assert len(watch.discover_slaves("orders")) == 2


def test_every_link_is_encrypted_and_nothing_else_is_open(group: Stack) -> None:
    for host in ("redis1", "redis2", "redis3"):
        assert group.open_ports(host) == {22, 6379, 26379}
    info = group.connect(primary(group)).info("replication")
    assert info["connected_slaves"] == 2
    assert info["min_slaves_good_slaves"] == 2


def test_who_finds_the_primary_does_not_administrate_sentinel(group: Stack) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        group.connect("redis1", port=26379).execute_command("SENTINEL", "FAILOVER", "orders")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_nothing_acknowledged_is_lost(group: Stack, fault: Fault) -> None:
    felt = strike(group, fault)
    assert felt.lost == []
    assert fault.fails_over is None or felt.moved is fault.fails_over


def test_a_minority_soon_takes_no_writes(group: Stack) -> None:
    former = primary(group)
    others = [group.address(name) for name in ("redis1", "redis2", "redis3") if name != former]
    alone = group.connect(former)
    with group.host(former).cut_off_from(*others):
        wait_for(lambda: refuses(alone))
    wait_for(lambda: in_sync(group))


def refuses(client: Any) -> bool:
    try:
        client.set("alone", "yes")
    except redis.exceptions.ResponseError as error:
        return "NOREPLICAS" in str(error)
    return False


def test_a_failover_is_nothing_that_an_up_would_undo(group: Stack) -> None:
    former = primary(group)
    group.on_host("redis1", 'sentinel "$ADDRESS" failover "$GROUP"')
    wait_for(lambda: primary(group) != former)
    wait_for(lambda: in_sync(group))
    now = primary(group)
    assert group.project.up().unchanged
    group.up({**THREE, "memory": {"limit": "64mb"}})
    assert primary(group) == now


def test_a_sentinel_knows_replicas_that_the_primary_does_not_name(group: Stack) -> None:
    away = next(host for host in ("redis1", "redis2", "redis3") if host != primary(group))
    watcher = next(host for host in ("redis1", "redis2", "redis3") if host not in (away, primary(group)))
    group.host(away).run("systemctl stop redis-server")
    try:
        group.host(watcher).run("systemctl restart redis-sentinel")
        assert group.address(away) in group.on_host(watcher, 'sentinel "$ADDRESS" replicas "$GROUP"').split()
    finally:
        group.host(away).run("systemctl start redis-server")


def test_a_second_primary_concedes(group: Stack) -> None:
    now = primary(group)
    second = next(host for host in ("redis1", "redis2", "redis3") if host != now)
    assert group.manager(second, "REPLICAOF", "NO", "ONE") == "OK"
    group.host(second).run("/usr/local/lib/redis-tls/node concede")
    told = group.manager(second, "ROLE").split()
    assert told[:2] == ["slave", group.address(now)]


def test_a_replica_that_follows_another_is_led_back(group: Stack) -> None:
    now = primary(group)
    one, other = (host for host in ("redis1", "redis2", "redis3") if host != now)
    assert group.manager(one, "REPLICAOF", group.address(other), "6379") == "OK"
    group.host("redis1").run("/usr/local/lib/redis-tls/group settle")
    assert group.manager(one, "ROLE").split()[:4] == ["slave", group.address(now), "6379", "connected"]


def test_a_restart_is_rolled_and_the_primary_hands_over_first(group: Stack) -> None:
    former, start = primary(group), time.time()
    written: list[int] = []
    over = threading.Event()

    def write() -> None:
        """As an application does: through Sentinel, trying again."""
        number = 0
        while not over.is_set():
            with contextlib.suppress(redis.RedisError, OSError):
                client = sentinel(group).master_for("orders")
                while not over.is_set():
                    number += 1
                    client.set(f"roll:{number}", number)
                    written.append(number)
                    time.sleep(0.005)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        group.up({**THREE, "ioThreads": 2})
    finally:
        over.set()
        thread.join()
    for host in ("redis1", "redis2", "redis3"):
        assert group.manager(host, "CONFIG", "GET", "io-threads").split() == ["io-threads", "2"]
    client = sentinel(group).master_for("orders")
    lost = [f"roll:{number}" for number in written if client.get(f"roll:{number}") is None]
    assert len(written) > 100
    assert lost == []
    told = group.host(former).run(["journalctl", "-u", "redis-server", "-o", "cat", f"--since=@{start:.0f}"]).stdout
    assert "handed over to" in told


def test_certificates_are_issued_anew_without_an_error(group: Stack) -> None:
    with group.load(primary(group)) as load:
        group.up({**THREE, "certificates": {"issue": 2}})
    assert load.errors == []
    wait_for(lambda: in_sync(group))


def test_passwords_change_without_an_error(group: Stack) -> None:
    for step in ({"current": 1, "accepted": [1, 2]}, {"current": 2, "accepted": [1, 2]}, {"current": 2}):
        with group.load(primary(group)) as load:
            group.up({**THREE, "passwords": step})
        assert load.errors == [], step
    wait_for(lambda: in_sync(group))
    group.up({**THREE, "passwords": {"current": 2, "accepted": [1, 2]}})


def test_nodes_join_and_leave(group: Stack) -> None:
    more = [*THREE["nodes"], {"host": "redis4"}]
    sentinel(group).master_for("orders").set("joined", "yes")
    group.up({**THREE, "nodes": more})
    assert group.connect("redis4").get("joined") == b"yes"
    assert len(sentinel(group).discover_slaves("orders")) == 3
    # The primary itself leaves.
    leaver = primary(group)
    group.up({**THREE, "nodes": [each for each in more if each["host"] != leaver]})
    assert primary(group) != leaver
    assert sentinel(group).master_for("orders").get("joined") == b"yes"
    for host in {"redis1", "redis2", "redis3", "redis4"} - {leaver}:
        known = group.on_host(host, 'sentinel "$ADDRESS" master "$GROUP"').split()
        assert known[known.index("num-slaves") + 1] == "2"
        assert known[known.index("num-other-sentinels") + 1] == "2"


def test_an_empty_machine_takes_the_place_of_a_lost_one(group: Stack) -> None:
    sentinel(group).master_for("orders").set("stays", "yes")
    lost = primary(group)
    group.lose(lost)
    group.up(THREE)
    assert primary(group) != lost
    assert group.connect(lost).get("stays") == b"yes"


def test_a_dead_host_is_replaced(group: Stack) -> None:
    sentinel(group).master_for("orders").set("survives", "yes")
    dead = primary(group)
    group.host(dead).kill()
    try:
        wait_for(lambda: primary(group) != dead)
        rest = [each for each in THREE["nodes"] if each["host"] != dead]
        group.up({**THREE, "nodes": [*rest, {"host": "redis5"}]}, without=[dead])
        assert sentinel(group).master_for("orders").get("survives") == b"yes"
        assert group.connect("redis5").get("survives") == b"yes"
    finally:
        # Started as it is it would serve on, and nobody would ever take that from it.
        group.lose(dead)
