"""Masters that share the keys: made, grown, shrunk, and one of them lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import pytest
import redis
from redis.cluster import RedisCluster

from components.redis_tls_cluster.rendering import script
from tests.integration.redis_tls.stack import HOSTS, Stack
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

KEYS: Final = 2000
PLAN: Final = "/run/plan"


def nodes(*numbers: int, replicas: int = 0, **more: Any) -> dict[str, Any]:
    """A cluster on these hosts."""
    listed = [{"host": f"redis{number}"} for number in numbers]
    return {"topology": "cluster", "flavour": "valkey", "nodes": listed, "cluster": {"replicas": replicas}, **more}


def cluster(stack: Stack, host: str = "redis3") -> Any:
    """A client of the cluster."""
    known = stack.client.options() | {"username": "app", "password": stack.outputs["passwords"]["app"]}
    untyped: Any = RedisCluster
    return untyped(host=stack.address(host), port=6379, socket_timeout=3, **known)


def shape(stack: Stack, host: str = "redis3") -> tuple[int, int, int]:
    """Masters with slots, replicas, and slots, as one node sees them."""
    masters = replicas = slots = 0
    for line in stack.manager(host, "CLUSTER", "NODES", flavour="valkey").splitlines():
        fields = line.split()
        ranges = [each.split("-") for each in fields[8:]]
        slots += sum(int(each[-1]) - int(each[0]) + 1 for each in ranges)
        masters += "master" in fields[2] and bool(ranges)
        replicas += "slave" in fields[2]
    return masters, replicas, slots


def fill(stack: Stack) -> None:
    client = cluster(stack)
    for number in range(KEYS):
        client.set(f"key:{number}", number)


def missing(stack: Stack) -> list[int]:
    client = cluster(stack)
    return [number for number in range(KEYS) if client.get(f"key:{number}") != str(number).encode()]


def lines(stack: Stack) -> dict[str, list[str]]:
    """What redis3 knows of each host's node: id, address, flags, master and more."""
    names = {f"{stack.address(each)}:6379": each for each in HOSTS}
    said = [line.split() for line in stack.manager("redis3", "CLUSTER", "NODES", flavour="valkey").splitlines()]
    return {names[each[1].partition("@")[0]]: each for each in said}


def made_master(stack: Stack, host: str) -> None:
    """Let a node be a master, if it is a replica."""
    if "slave" in lines(stack)[host][2]:
        stack.manager(host, "CLUSTER", "FAILOVER", flavour="valkey")
        wait_for(lambda: "master" in lines(stack)[host][2])


def replica_of_another(stack: Stack, host: str) -> str:
    """A host with a replica that is not this one's, and not the node that is asked."""
    known = lines(stack)
    return next(name for name, each in known.items() if each[2] == "slave" and each[3] != known[host][0])


def prepare_plan(stack: Stack, *hosts: str) -> None:
    """Have what brings a group together on the first host, for these hosts without replicas."""
    first, addresses = stack.host(hosts[0]), " ".join(stack.address(each) for each in hosts)
    change = f"sed -i -e \"s/^NODES=.*/NODES='{addresses}'/\" -e s/^REPLICAS=.*/REPLICAS=0/ {PLAN}/node.env"
    first.run(f"cp -a /usr/local/lib/valkey-tls {PLAN} && {change} && cat >{PLAN}/group", stdin=script("group"))


@contextmanager
def silent_on_the_bus(stack: Stack, host: str) -> Iterator[None]:
    """Cut a node off from the others, who notice, but not from clients."""
    rules = "; ".join(f"tcp {way} 16379 drop" for way in ("dport", "sport"))
    chains = "\n".join(
        f"chain {hook} {{ type filter hook {hook} priority -300; {rules}; }}" for hook in ("input", "output")
    )
    stack.host(host).run(["nft", "-f", "-"], stdin=f"table inet silence {{\n{chains}\n}}\n")
    try:
        wait_for(lambda: ",fail" in lines(stack)[host][2].replace("fail?", ""))
        yield
    finally:
        stack.host(host).run(["nft", "delete", "table", "inet", "silence"])


def test_a_cluster_lives(stack: Stack) -> None:
    """One story, since each step starts from what the one before has left."""
    stack.up(nodes(1, 2, 3))
    assert shape(stack) == (3, 0, 16384)
    assert stack.project.up().unchanged
    fill(stack)
    for host in ("redis1", "redis2", "redis3"):
        assert stack.open_ports(host) == {22, 6379, 16379}

    # It grows by a master: keys move while they are read.
    stack.up(nodes(1, 2, 3, 4))
    assert shape(stack) == (4, 0, 16384)
    assert missing(stack) == []

    # One leaves, and then each of the others has a replica.
    stack.up(nodes(2, 3, 4))
    assert shape(stack) == (3, 0, 16384)
    assert missing(stack) == []
    stack.up(nodes(2, 3, 4, 1, 5, 6, replicas=1))
    assert shape(stack) == (3, 3, 16384)
    assert missing(stack) == []

    # A change that needs a restart is rolled; a master hands over first, and a cluster's client notices nothing.
    stack.up(nodes(2, 3, 4, 1, 5, 6, replicas=1, ioThreads=2))
    assert shape(stack) == (3, 3, 16384)
    assert missing(stack) == []
    assert stack.manager("redis3", "CONFIG", "GET", "io-threads", flavour="valkey").split()[-1] == "2"

    # A host is lost, and an empty machine comes to its name and address.
    stack.lose("redis6")
    stack.up(nodes(2, 3, 4, 1, 5, 6, replicas=1, ioThreads=2))
    assert shape(stack) == (3, 3, 16384)
    assert missing(stack) == []

    # A master's host is lost for good, and all others are masters then: also one that nobody reaches when that begins.
    made_master(stack, "redis2")
    silent = replica_of_another(stack, "redis2")
    stack.host("redis2").kill()
    try:
        wait_for(lambda: ",fail" in lines(stack)["redis2"][2] and shape(stack) == (3, 2, 16384))
        prepare_plan(stack, "redis3", "redis4", "redis1", "redis5", "redis6")
        with ThreadPoolExecutor() as beside:
            with silent_on_the_bus(stack, silent):
                planned = beside.submit(stack.host("redis3").run, f"sh {PLAN}/group settle", timeout=900)
                time.sleep(10)  # the plan would have been made by now
            planned.result()
        assert shape(stack) == (5, 0, 16384)
        stack.up(nodes(3, 4, 1, 5, 6, replicas=0), without=["redis2"])
        assert shape(stack) == (5, 0, 16384)
        assert missing(stack) == []
    finally:
        # Started as it is it would serve on, and nobody would ever take that from it.
        stack.lose("redis2")


def test_a_stranger_cannot_join_the_bus(stack: Stack) -> None:
    stack.up(nodes(3, 4, 1, 5, 6, replicas=0))
    # In TLS 1.3 the refusal comes after the handshake: the client waits for it.
    ask = f"timeout 30 openssl s_client -ign_eof -connect {stack.address('redis3')}:16379 </dev/null 2>&1"
    assert "certificate required" in stack.host("outsider").run(ask, check=False).stdout


def test_application_cannot_change_the_cluster(stack: Stack) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        stack.connect("redis3").execute_command("CLUSTER", "RESET")
