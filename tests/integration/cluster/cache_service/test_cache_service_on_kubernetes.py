"""A NodePort of a real cluster is reached by the tunnels and by nobody else, and the cluster does not mind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from lab.cluster.cache_service import NAMESPACE
from tests.integration.cluster.cache_service.stack import NODES, Service
from tests.integration.cluster.stack import Cluster, why
from tests.integration.cluster.test_cluster import pod
from tests.integration.support import wait_for
from tests.integration.tunnels.outage import Client
from tests.integration.tunnels.stack import PORT
from tests.integration.tunnels.stack import wait_for as wait_for_port
from tests.integration.verification.verdict import verify

pytestmark = [pytest.mark.lab, pytest.mark.engine]

OTHER_PORT: Final = 30400


@pytest.fixture(scope="module")
def neighbour(cluster: Cluster) -> Iterator[str]:
    """Another service of the cluster: its server is on one node, its client on the other, and its NodePort is open."""
    with cluster.namespace("neighbour") as namespace:
        objects = [
            pod("server", "control", "valkey-server", "--protected-mode", "no", "--save", ""),
            pod("client", "worker1", "sleep", "infinity"),
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "other"},
                "spec": {
                    "type": "NodePort",
                    "selector": {"app": "server"},
                    "ports": [{"port": 6379, "nodePort": OTHER_PORT}],
                },
            },
        ]
        for each in objects:
            each["metadata"]["namespace"] = namespace
        cluster.apply(*objects)
        cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pods", "--all", "--timeout=60s")
        yield namespace


def works_as_ever(service: Service, neighbour: str) -> bool:
    """Whether the cluster's other traffic passes: names, services, pods of another node, and an open NodePort."""
    return service.cluster.answers(neighbour, "client", "other", 6379) and (
        service.reached_from("outsider", OTHER_PORT) == set(NODES)
    )


def test_without_a_firewall_every_node_answers_everybody(service: Service, neighbour: str, tmp_path: Path) -> None:
    service.up(firewall=False)
    assert service.reached_from("outsider") == set(NODES)
    found = verify(service.project, tmp_path / "report.json")
    for node in NODES:
        assert f":{PORT} answers outsider" in found.problems("exposure", node)


def test_the_tunnels_are_the_only_way(service: Service, neighbour: str, tmp_path: Path) -> None:
    service.up()
    assert service.reached_from("outsider") == set()
    wait_for_port(service.host("app1"), PORT)
    assert service.at_app1("SET", "written", "at-app1") == "OK"
    assert service.in_pod("GET", "written") == "at-app1"
    found = verify(service.project, tmp_path / "report.json")
    assert found.wrong == set(), found.text
    assert works_as_ever(service, neighbour)
    # Not even by the cluster's own network.
    asked = ("timeout", "3", "valkey-cli", "-h", f"cache-service.{NAMESPACE}", "ping")
    assert service.cluster.exec(neighbour, "client", *asked, check=False) == ""


def test_second_up_changes_nothing(service: Service) -> None:
    service.up()
    before = service.logins()
    assert service.up().unchanged
    assert service.workload.up().unchanged
    assert service.logins() == before


def test_a_pod_that_is_killed_comes_back(service: Service) -> None:
    service.up()
    with Client(service.host("app1"), PORT) as client:
        since = time.monotonic()
        service.cluster.kubectl("-n", NAMESPACE, "delete", "pods", "--selector=app=cache-service", "--now")
        client.healed(since)
    assert service.reached_from("outsider") == set()


def test_a_worker_that_is_rebooted_comes_back_closed(service: Service, neighbour: str, tmp_path: Path) -> None:
    service.up()
    service.host("worker1").restart()
    assert service.reached_from("outsider") == set()
    wait_for(lambda: why()[0] == 0, 120)
    wait_for_port(service.host("app1"), PORT)
    assert service.reached_from("outsider") == set()
    wait_for(lambda: works_as_ever(service, neighbour))
    assert verify(service.project, tmp_path / "report.json").wrong == set()


def test_with_nftables_the_tunnel_leads_to_the_workers_address(service: Service, neighbour: str) -> None:
    with service.kube_proxy("s/^mode: .*/mode: nftables/"):
        service.up(target="address")
        wait_for(lambda: works_as_ever(service, neighbour))
        assert service.reached_from("outsider") == set()
        wait_for_port(service.host("app1"), PORT)
        rules = service.host("worker1").run("nft list table ip kube-proxy").stdout
        assert str(PORT) in rules, "it is nftables that leads there"
    wait_for(lambda: works_as_ever(service, neighbour))


def test_kube_proxy_can_leave_the_nodes_addresses_alone(service: Service) -> None:
    with service.kube_proxy("$ a nodePortAddresses: [127.0.0.0/8]"):
        service.up(firewall=False)
        wait_for(lambda: not service.reached_from("outsider"))
        wait_for_port(service.host("app1"), PORT)
