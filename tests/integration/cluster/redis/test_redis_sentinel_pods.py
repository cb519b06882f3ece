"""Three Redis and three Sentinels as pods: what they live through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab.cluster import node_image
from tests.integration.cluster.redis.group import FRIENDS, PodGroup
from tests.integration.cluster.stack import Cluster
from tests.integration.support import wait_for

pytestmark = pytest.mark.engine

NODES = ("control", "worker1", "worker1")
PRIMARY = "ask -h orders -p 26379 SENTINEL get-master-addr-by-name orders 2>/dev/null | head -n 1"
# On a busy machine Sentinel, whose names take long then, may stop judging for half a minute, and again.
LIMIT_S = 240
# A write counts when every replica has it.
WRITER = f"""
number=0
while :; do
    number=$((number + 1))
    answer=$(printf 'SET write:%s 1\\nWAIT 2 1000\\n' "$number" | ask -h "$({PRIMARY})" 2>&1 | xargs)
    [ "$answer" != "OK 2" ] || echo "$number"
    sleep 0.05
done
"""
CONNECTED = f'LIMIT=3600; server=$({PRIMARY}); while :; do echo "INCR beat"; sleep 0.1; done | ask -h "$server"'


@pytest.fixture(scope="module")
def group(cluster: Cluster, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodGroup]:
    settings: dict[str, Any] = {
        "name": "orders",
        "topology": "sentinel",
        "persistence": {"fsync": "always"},
        # All nodes share one disk: servers may be silent for seconds, and a primary refuses writes without them.
        "replication": {"minReplicasMaxLag": 60},
        "kubernetes": {
            "namespace": namespace,
            "image": node_image.pod_image("redis"),
            "clients": [{"pods": FRIENDS}],
        },
    }
    group = PodGroup(tmp_path_factory.mktemp("orders"), cluster, namespace, settings)
    for number, node in enumerate(NODES):
        group.volumes.make(f"orders-server-{number}", node)
        group.volumes.make(f"orders-sentinel-{number}", NODES[-1 - number])
    group.up()
    group.give("friend")
    group.client("friend", "friend")
    yield group
    group.project.destroy()
    group.kubectl("delete", "pods", "--all")
    group.volumes.clear()


def primary(group: PodGroup) -> str:
    """Name of the pod that leads, as the first Sentinel says that answers."""
    said: list[str] = []

    def answered() -> bool:
        said[:] = group.ask(
            "friend", *["-p", "26379", "SENTINEL", "get-master-addr-by-name", "orders"], host="orders"
        ).split()
        return bool(said) and said[0].endswith(".svc.cluster.local")

    wait_for(answered)
    return said[0].partition(".")[0]


def roles(group: PodGroup) -> list[str]:
    """What each server says of itself, replicas with the state of their link."""
    found = []
    for name in group.lives("server"):
        info = group.ask("friend", "INFO", "replication", host=f"{name}.orders-servers")
        said = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
        found.append(f"{said.get('role')} {said.get('master_link_status', '')}".strip())
    return sorted(found)


def well(group: PodGroup) -> bool:
    return roles(group) == ["master", "slave up", "slave up"]


def confirmed_are_kept(group: PodGroup) -> None:
    """No write is lost that a client was told every replica has."""
    confirmed = {f"write:{number}" for number in group.lines("writer")}
    server = f"{primary(group)}.orders-servers"
    kept = set(group.ask("friend", "--scan", "--pattern", "write:*", host=server).splitlines())
    assert confirmed
    assert not confirmed - kept


def test_a_second_run_changes_nothing(group: PodGroup) -> None:
    assert well(group)
    assert primary(group) == "orders-server-0"
    assert group.up().unchanged


def lose(group: PodGroup, pod: str) -> None:
    """Take a server away without a warning, until Sentinels have named another one."""
    node = group.get("pod", pod)["spec"]["nodeName"]
    group.cluster.kubectl("cordon", node)
    try:
        group.kubectl("delete", "pod", pod, "--grace-period=0", "--force")
        wait_for(lambda: primary(group) != pod, LIMIT_S)
    finally:
        group.cluster.kubectl("uncordon", node)
    wait_for(lambda: well(group), LIMIT_S)


def test_sentinels_name_somebody_else_when_the_primary_is_lost(group: PodGroup) -> None:
    group.client("writer", "friend", WRITER)
    group.said("writer", 10)
    lose(group, primary(group))
    group.said("writer", 10)
    confirmed_are_kept(group)


def test_a_primary_hands_over_before_it_goes(group: PodGroup) -> None:
    leaving = primary(group)
    group.kubectl("delete", "pod", leaving)
    assert primary(group) != leaving
    wait_for(lambda: well(group), LIMIT_S)
    group.said("writer", 10)
    confirmed_are_kept(group)


def test_a_server_without_its_data_does_not_lead(group: PodGroup) -> None:
    lost = primary(group)
    # It comes back at once, while the Sentinels still name it.
    group.volumes.lose(lost)
    group.kubectl("delete", "pod", lost, "--grace-period=0", "--force")
    wait_for(lambda: primary(group) != lost, LIMIT_S)
    wait_for(lambda: well(group), LIMIT_S)
    confirmed_are_kept(group)


def test_all_pods_at_once(group: PodGroup) -> None:
    group.kubectl("delete", "pods", "--selector=app.kubernetes.io/instance=orders", "--grace-period=0", "--force")
    wait_for(lambda: len(group.lives("server")) == 3 and well(group), LIMIT_S)
    group.said("writer", 10)
    confirmed_are_kept(group)


def test_what_needs_a_restart_is_rolled_and_the_group_grows_and_shrinks(group: PodGroup) -> None:
    lives = group.lives("server")
    group.volumes.make("orders-server-3", "control")
    group.settings["kubernetes"]["servers"] = 4
    group.settings["ioThreads"] = 2
    group.up()
    assert len(group.lives("server")) == 4
    assert not set(group.lives("server").items()) & set(lives.items())
    assert roles(group) == ["master", *["slave up"] * 3]
    group.said("writer", 10)
    confirmed_are_kept(group)
    group.settings["kubernetes"]["servers"] = 3
    group.up()
    assert well(group)
    assert "num-slaves\n2" in group.ask("friend", "-p", "26379", "SENTINEL", "master", "orders", host="orders")
    assert group.get("persistentvolumeclaim", "data-orders-server-3")["status"]["phase"] == "Bound"
    group.said("writer", 10)
    confirmed_are_kept(group)
    group.kubectl("delete", "pod", "writer")


def test_certificates_and_passwords_change_while_servers_stay(group: PodGroup) -> None:
    # Whoever has the next password already must be let in by whoever has not: docs/redis_tls_cluster.md, "Operations".
    group.settings["passwords"] = {"current": 1, "accepted": [1, 2]}
    group.up()
    group.client("connected", "friend", CONNECTED)
    lives, watchers, leading = group.lives("server"), group.lives("sentinel"), primary(group)
    group.settings["certificates"] = {"issue": 2}
    group.settings["passwords"] = {"current": 2, "accepted": [1, 2]}
    group.up()
    group.said("connected", 5)
    counted = [int(line) for line in group.lines("connected")]
    assert counted == list(range(1, len(counted) + 1))
    assert group.lives("server") == lives
    assert not set(group.lives("sentinel").items()) & set(watchers.items())
    assert primary(group) == leading
    assert well(group)
    group.kubectl("delete", "pod", "connected")


def test_a_drain_takes_one_at_a_time(group: PodGroup, cluster: Cluster) -> None:
    drained = ("drain", "worker1", f"--pod-selector=app.kubernetes.io/instance={group.name}", "--ignore-daemonsets")
    try:
        refused = cluster.refusal(*drained, "--delete-emptydir-data", "--timeout=30s")
        assert "would violate the pod's disruption budget" in refused
        pods = json.loads(group.kubectl("get", "pods", "--selector=app.kubernetes.io/component=server", "-o", "json"))
        running = [pod for pod in pods["items"] if pod["status"]["phase"] == "Running"]
        assert len(running) == 2
        wait_for(lambda: group.ask("friend", "SET", "drained", "1", host=f"{primary(group)}.orders-servers") == "OK")
    finally:
        cluster.kubectl("uncordon", "worker1")
    wait_for(lambda: well(group), LIMIT_S)
