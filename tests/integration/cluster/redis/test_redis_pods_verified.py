"""`make verify` looks into the cluster: all is well, and whatever somebody breaks there is found under its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from lab.cluster import node_image
from tests.authority import Authority
from tests.integration.cluster.redis.group import FRIENDS, PodGroup
from tests.integration.cluster.spinnaker.stack import definition
from tests.integration.cluster.stack import Cluster
from tests.integration.production.conftest import NAME
from tests.integration.support import wait_for
from tests.integration.verification.verdict import Verdict, verify

pytestmark = pytest.mark.engine

WHERE: Final = "cluster/lab"
POD: Final = "ci-server-0"
# On a busy machine Sentinel, whose names take long then, may stop judging for half a minute, and again.
LIMIT_S: Final = 240
_SCRIPTS: Final = "/usr/local/lib/redis-tls"


@pytest.fixture(scope="module")
def group(cluster: Cluster, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodGroup]:
    place: dict[str, Any] = {
        "namespace": namespace,
        "image": node_image.pod_image("redis"),
        "clients": [{"pods": FRIENDS}],
    }
    orders = {
        "name": "orders",
        "topology": "sentinel",
        "replication": {"minReplicasToWrite": 0},
        "kubernetes": {**place, "servers": 2},
    }
    beside = {
        "ci": {"name": "ci", "users": [{"name": "default"}], "keyspaceEvents": "Egx", "kubernetes": place},
        "spinnaker": {
            "namespace": namespace,
            "redis": {"host": f"ci.{namespace}.svc"},
            "services": ["gate"],
            "operator": {"patch": False},
        },
    }
    services = definition("spinnaker.io")
    cluster.apply(services)
    cluster.kubectl("wait", "--for=condition=Established", f"crd/{services['metadata']['name']}", "--timeout=30s")
    group = PodGroup(
        tmp_path_factory.mktemp("verified"),
        cluster,
        namespace,
        orders,
        program="verified.py",
        project=NAME,
        beside=beside,
    )
    for number, node in enumerate(("control", "worker1", "worker1")):
        group.volumes.make(f"orders-sentinel-{number}", node)
    for pod in ("orders-server-0", "orders-server-1", POD):
        group.volumes.make(pod, "worker1")
    group.up()
    yield group
    group.project.destroy()
    group.volumes.clear()
    cluster.kubectl("delete", "crd", services["metadata"]["name"])


def found(group: PodGroup) -> Verdict:
    return verify(group.project, Path(group.project.directory) / "report.json")


def sealed(group: PodGroup) -> Verdict:
    """Wait until all is well."""
    last: list[Verdict] = []

    def well() -> bool:
        last[:] = [found(group)]
        return last[0].code == 0

    wait_for(well, LIMIT_S)
    return last[0]


def tell(group: PodGroup, *words: str) -> str:
    """What the single server answers its manager."""
    script = f'. {_SCRIPTS}/client.sh; ask "$@"'
    return group.kubectl("exec", POD, "-c", "follow", "--", "sh", "-c", script, f"{_SCRIPTS}/test", *words)


def test_all_is_well(group: PodGroup) -> None:
    verdict = sealed(group)
    told = {str(check["name"]): str(check["detail"]) for check in verdict.checks}
    assert {check["host"] for check in verdict.checks} == {WHERE}
    assert set(told) == {"login", "listeners", "redis", "spinnaker", "certificates", "objects", "policies"}
    assert "orders-server-0: primary with 1 replicas" in told["redis"]
    assert "in sync" in told["redis"]
    assert told["redis"].count("Sentinel that knows the whole group") == 3
    assert told["certificates"].startswith("6 certificates as written")
    assert told["listeners"].startswith("6 pods listen on their TLS port")
    assert "says PONG to spinnaker" in told["spinnaker"]
    assert "who trusts another root: certificate verify failed" in told["spinnaker"]
    assert "1/1 cluster" in verdict.text
    assert "7 of 7 checks on 1 cluster are well" in verdict.text


def test_no_secret_is_told(group: PodGroup) -> None:
    verdict = found(group)
    report = (Path(group.project.directory) / "report.json").read_text() + verdict.text
    assert "PRIVATE KEY" not in report
    for data in group.get("secrets")["items"]:
        for text in data.get("data", {}).values():
            assert text not in report


def test_a_network_policy_that_is_gone_is_found(group: PodGroup) -> None:
    policy = group.get("networkpolicy", "ci-server")
    group.kubectl("delete", "networkpolicy", "ci-server")
    verdict = found(group)
    group.cluster.apply(policy)
    missing = f"NetworkPolicy {group.namespace}/ci-server is missing"
    assert missing in verdict.problems("objects", WHERE)
    assert "every pod of the cluster may connect" in verdict.problems("policies", WHERE)
    assert verdict.code == 1


def test_a_network_policy_that_lets_others_in_is_found(group: PodGroup) -> None:
    everybody = '[{"op": "add", "path": "/spec/ingress/0/from/-", "value": {"namespaceSelector": {}}}]'
    group.kubectl("patch", "networkpolicy", "ci-server", "--type=json", f"--patch={everybody}")
    verdict = found(group)
    group.kubectl(
        "patch",
        "networkpolicy",
        "ci-server",
        "--type=json",
        '--patch=[{"op": "remove", "path": "/spec/ingress/0/from/2"}]',
    )
    policy = f"NetworkPolicy {group.namespace}/ci-server"
    assert f"{policy} is not what the stack wrote: spec.ingress[0].from" in verdict.problems("objects", WHERE)


def test_what_lets_others_in_beside_the_stack_is_found(group: PodGroup) -> None:
    labels = {"app.kubernetes.io/name": "redis", "app.kubernetes.io/instance": "ci"}
    metadata = {"name": "theirs", "namespace": group.namespace}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {"podSelector": {"matchLabels": labels}, "ingress": [{}]},
    }
    ports = [{"port": 6379, "targetPort": 6379}]
    spec = {"type": "NodePort", "selector": labels, "ports": ports}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    group.cluster.apply(policy, service)
    verdict = found(group)
    group.kubectl("delete", "networkpolicy,service", "theirs")
    problems = verdict.problems("objects", WHERE)
    assert (
        f"NetworkPolicy {group.namespace}/theirs was not written by the stack, and lets somebody in to ci" in problems
    )
    assert f"Service {group.namespace}/theirs was not written by the stack, and leads to pods of ci" in problems
    assert "orders" not in problems


def test_a_pod_that_was_scaled_away_is_found(group: PodGroup) -> None:
    group.kubectl("scale", "statefulset", "orders-sentinel", "--replicas=2")
    wait_for(lambda: "orders-sentinel-2" not in group.kubectl("get", "pods", "--output=name"))
    verdict = found(group)
    group.kubectl("scale", "statefulset", "orders-sentinel", "--replicas=3")
    name = f"{group.namespace}/orders-sentinel"
    assert f"StatefulSet {name} is not what the stack wrote: spec.replicas is 2" in verdict.problems("objects", WHERE)
    assert f"{name}-2 is missing" in verdict.problems("redis", WHERE)
    assert "there is no such pod" in verdict.problems("certificates", WHERE)
    sealed(group)


def test_a_plaintext_port_is_found(group: PodGroup) -> None:
    assert "OK" in tell(group, "CONFIG", "SET", "port", "6380")
    verdict = found(group)
    assert "OK" in tell(group, "CONFIG", "SET", "port", "0")
    assert f"{group.namespace}/{POD} has something that listens on tcp " in verdict.problems("listeners", WHERE)
    assert ":6380, beside port 6379" in verdict.problems("listeners", WHERE)
    assert f'{POD} the running server has port "6380", not "0"' in verdict.problems("redis", WHERE)


def test_a_server_that_asks_for_no_certificate_is_found(group: PodGroup) -> None:
    assert "OK" in tell(group, "CONFIG", "SET", "tls-auth-clients", "no")
    verdict = found(group)
    assert "OK" in tell(group, "CONFIG", "SET", "tls-auth-clients", "yes")
    assert 'the running server has tls-auth-clients "no"' in verdict.problems("redis", WHERE)
    assert "answers who shows no certificate" in verdict.problems("spinnaker", WHERE)


def test_another_certificate_is_found(group: PodGroup) -> None:
    certificate, key = Authority().issue(f"ci.{group.namespace}.svc")
    for name, text in (("crt", certificate), ("key", key)):
        script = f"cat >/etc/redis/other.{name}"
        group.cluster.kubectl(
            "-n", group.namespace, "exec", "-i", POD, "-c", "follow", "--", "sh", "-c", script, stdin=text
        )
    shown = ("tls-cert-file", "/etc/redis/other.crt", "tls-key-file", "/etc/redis/other.key")
    assert "OK" in tell(group, "CONFIG", "SET", *shown)
    # Now the manager does not know the server either.
    verdict = found(group)
    assert "it was not reloaded" in verdict.problems("certificates", WHERE)
    assert "none of the trusted roots signed" in verdict.problems("certificates", WHERE)
    assert "certificate verify failed" in verdict.problems("spinnaker", WHERE)
    assert f"{POD} the server does not answer its manager" in verdict.problems("redis", WHERE)
    group.kubectl("delete", "pod", POD)
    sealed(group)


def test_a_cluster_that_does_not_answer_is_found(group: PodGroup) -> None:
    control = group.cluster.host("control")
    try:
        # Left to itself it would wait for whoever watches it.
        control.run("systemctl kill --signal=KILL kube-apiserver; systemctl stop kube-apiserver")
        verdict = found(group)
    finally:
        control.run("systemctl start kube-apiserver")
    assert verdict.code == 1
    assert "the API server cannot be reached" in verdict.problems("login", WHERE)
    for name in ("listeners", "redis", "spinnaker", "certificates", "objects", "policies"):
        assert verdict.problems(name, WHERE) == "not done: it could not be asked"
    sealed(group)
