"""Kubernetes: what a stack opens to others by its objects and tunnels together, and files that servers are given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.policies.pods import LABELS, OPEN, SEALED, asked, rule, whole, workload
from tests.policies.support import KEYS, KEYS_TEXT, ROLE, SSH, SSH_TEXT, SSHD, SSHD_TEXT, UNKNOWN, Outcome

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "redis_kubernetes"


@pytest.mark.parametrize(
    ("spec", "exposed"),
    [
        ({"type": "NodePort", "ports": [{"port": 6379, "nodePort": 30379}]}, True),
        ({"type": "LoadBalancer", "ports": [{"port": 443, "targetPort": 5432}]}, True),
        ({"type": "NodePort", "ports": [{"port": 443, "targetPort": "redis-tls"}]}, True),
        ({"externalIPs": ["192.0.2.1"], "ports": [{"port": 2379.0}]}, True),
        ({"type": "ClusterIP", "ports": [{"port": 6379}]}, False),
        ({"ports": [{"port": 6379}]}, False),
        ({"type": "NodePort", "ports": [{"port": 443, "name": "https"}]}, False),
        ({"type": UNKNOWN, "ports": [{"port": 6379}]}, False),
    ],
)
def test_services(spec: dict[str, Any], exposed: bool) -> None:
    assert whole(("core/v1:Service", {"spec": spec})).rules == ({"exposed-service"} if exposed else set())


@pytest.mark.parametrize(
    ("args", "namespace", "selector", "exposed"),
    [
        (SEALED, "data", LABELS, False),
        ((*SEALED, "--port", "6379"), "data", LABELS, True),
        (("--tls-port", "6379"), "data", LABELS, True),
        (("--port", "0"), "data", LABELS, True),
        (SEALED, "other", LABELS, True),
        (SEALED, "data", {"app": "other"}, True),
        (SEALED, "data", {}, True),
    ],
)
def test_services_in_front_of_tls(
    args: tuple[str, ...], namespace: str, selector: dict[str, str], exposed: bool
) -> None:
    spec = {"type": "NodePort", "selector": selector, "ports": [{"port": 6379}]}
    service = ("core/v1:Service", {"metadata": {"namespace": namespace}, "spec": spec})
    outcome = whole(service, ("apps/v1:StatefulSet", workload(args=list(args))), rule())
    assert outcome.rules == ({"exposed-service"} if exposed else set())


@pytest.mark.parametrize(
    ("image", "command", "served"),
    [
        ("redis/redis-stack-server", ["/my-own"], True),
        ("valkey-bundle", ["/my-own"], True),
        ("bitnami/postgresql-repmgr:16", ["/opt/bitnami/scripts/postgresql-repmgr/run.sh"], True),
        ("ghcr.io/zalando/spilo-16:3.2", ["/bin/sh", "/launch.sh", "init"], True),
        ("app", ["gosu", "postgres", "patroni", "/etc/patroni.yml"], True),
        ("redis:8", ["sh", "-c", "until redis-cli -h cache ping; do sleep 1; done"], False),
        ("redis:8", ["sh", "-ec", "set -x; cd /data && [ -f a ] || cp /conf/a ."], False),
        ("redis:8", ["sh", "-ec", "set -x; /my-own"], True),
        ("postgres:17", ["pg_dump", "-h", "db", "-U", "postgres"], False),
        ("app", ["app", "--user", "postgres", "--backend", "redis"], False),
    ],
)
def test_who_may_be_a_server_needs_a_network_policy(image: str, command: list[str], served: bool) -> None:
    workloads = ("apps/v1:StatefulSet", workload(image=image, command=command, args=[]))
    assert whole(workloads).rules == ({"network-policy"} if served else set())
    assert whole(workloads, rule()).rules == set()


def expression(operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": "app", "operator": operator, "values": list(values)}]}


SERVER: Final = ("apps/v1:StatefulSet", workload())


@pytest.mark.parametrize(
    ("others", "covered"),
    [
        ([], False),
        ([rule()], True),
        ([rule(podSelector={})], True),
        ([rule(podSelector={"matchExpressions": [{"key": "app", "operator": "Exists"}]})], True),
        ([rule(podSelector=expression("In", "redis", "valkey"))], True),
        ([rule(podSelector=expression("NotIn", "shop"))], True),
        ([rule(podSelector=expression("In", "shop"))], False),
        ([rule(podSelector=expression("NotIn", "redis"))], False),
        ([rule(podSelector=expression("DoesNotExist"))], False),
        ([rule(namespace="default")], False),
        ([rule(podSelector={"matchLabels": {"app": "other"}})], False),
        ([rule(policyTypes=["Egress"])], False),
    ],
)
def test_pods_of_the_data_tier_have_a_network_policy(others: list[Any], covered: bool) -> None:
    outcome = whole(SERVER, *others)
    assert outcome.rules == (set() if covered else {"network-policy"})


SHOP: Final = {"podSelector": {"matchLabels": {"app": "shop"}}}
PORTS: Final = [{"port": 6379}]


@pytest.mark.parametrize(
    ("let_in", "place"),
    [
        ({}, "spec.ingress[0].from: not set"),
        ({"ports": PORTS}, "spec.ingress[0].from: not set: it lets everybody in"),
        ({"from": [], "ports": PORTS}, "spec.ingress[0].from: not set"),
        ({"from": [SHOP]}, "spec.ingress[0].ports: not set: it opens every port"),
        ({"from": [SHOP], "ports": [{"protocol": "TCP"}]}, "spec.ingress[0].ports"),
        ({"from": [SHOP, {"namespaceSelector": {}}], "ports": PORTS}, "`namespaceSelector: {}`"),
        ({"from": [{"namespaceSelector": {}, "podSelector": {}}], "ports": PORTS}, "`namespaceSelector: {}`"),
        ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": PORTS}, "`0.0.0.0/0`: it lets everybody in"),
        ({"from": [{"ipBlock": {"cidr": "::/0"}}], "ports": PORTS}, "`::/0`"),
        ({"from": [SHOP], "ports": PORTS}, None),
        ({"from": [{"podSelector": {}}], "ports": PORTS}, None),
        ({"from": [{"namespaceSelector": {}, **SHOP}], "ports": PORTS}, None),
        ({"from": [{"namespaceSelector": {"matchLabels": {"team": "shop"}}}], "ports": PORTS}, None),
        ({"from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": PORTS}, None),
        ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}], "ports": PORTS}, None),
    ],
)
def test_a_network_policy_that_says_nothing(let_in: dict[str, Any], place: str | None) -> None:
    outcome = whole(SERVER, rule(ingress=[let_in]))
    assert outcome.rules == ({"network-policy"} if place else set())
    assert (place or "") in str(outcome.violations)
    # What one opens no other one closes; of other pods nobody asks.
    assert whole(SERVER, rule(), rule(ingress=[let_in])).rules == outcome.rules
    other = rule(podSelector={"matchLabels": {"app": "other"}}, ingress=[let_in])
    assert whole(SERVER, rule(), other).rules == set()


def test_clients_that_are_not_known_yet_are_told() -> None:
    outcome = whole(SERVER, rule(ingress=[{"from": [{"namespaceSelector": {"matchLabels": UNKNOWN}}], "ports": PORTS}]))
    assert outcome.violations == []
    assert "spec.ingress[0].from" in str(outcome.notes)


# --- files that servers in pods are given ---

MASTER: Final = "/etc/redis/master.conf"
FULL: Final = "port 0\ntls-port 6379\ntls-auth-clients yes\ntls-replication yes\n"


def given(file: str, mount: Mapping[str, Any], volume: Mapping[str, Any], *more: str) -> tuple[str, dict[str, Any]]:
    """A StatefulSet whose server is started with a file, and one volume."""
    inputs = workload(args=[file, *more], volumeMounts=[{"name": "v", **mount}])
    inputs["spec"]["template"]["spec"]["volumes"] = [{"name": "v", **volume}]
    return "apps/v1:StatefulSet", inputs


def config_map(name: str = "conf", namespace: str = "data", **data: Any) -> tuple[str, dict[str, Any]]:
    texts = {key.replace("_", "."): text for key, text in data.items()}
    return "core/v1:ConfigMap", {"metadata": {"name": name, "namespace": namespace}, "data": texts}


WHOLE: Final = {"configMap": {"name": "conf"}}


@pytest.mark.parametrize(
    ("mount", "volume"),
    [
        ({"mountPath": "/etc/redis"}, WHOLE),
        ({"mountPath": "/etc/redis/"}, WHOLE),
        ({"mountPath": MASTER, "subPath": "master.conf"}, WHOLE),
        (
            {"mountPath": "/etc"},
            {"configMap": {"name": "conf", "items": [{"key": "master.conf", "path": "redis/master.conf"}]}},
        ),
        (
            {"mountPath": "/etc/redis", "subPath": "a"},
            {"configMap": {"name": "conf", "items": [{"key": "master.conf", "path": "a/master.conf"}]}},
        ),
        ({"mountPath": "/etc/redis"}, {"projected": {"sources": [{"secret": {"name": "s"}}, WHOLE]}}),
    ],
)
def test_a_file_is_followed_to_its_config_map(mount: dict[str, str], volume: dict[str, Any]) -> None:
    server = given(MASTER, mount, volume)
    outcome = whole(server, rule(), config_map(master_conf="bind 0.0.0.0\nport 6379\n"))
    assert outcome.rules == {"server-configuration"}
    assert f"{MASTER}:1: `bind 0.0.0.0`: port 6379 listens in plaintext" in str(outcome.violations)
    assert "(redis-port)" in str(outcome.violations)
    assert whole(server, rule(), config_map(master_conf=FULL)).rules == set()


@pytest.mark.parametrize(
    ("file", "options", "rules"),
    [
        ("port 6379\n", ("--port", "0", "--tls-port", "6379"), set()),
        (FULL, ("--tls-auth-clients", "yes"), set()),
        ("tls-port 6379\n", (), {"server-configuration"}),
        (FULL.replace("clients yes", "clients no"), (), {"server-configuration"}),
        (f"{FULL}protected-mode no\n", (), {"server-configuration"}),
        (f"{FULL}tls-protocols TLSv1\n", (), {"server-configuration"}),
        (f"{FULL}include more.conf\n", (), {"server-configuration"}),
        # Told of the options themselves, by the rules for these.
        (f"{FULL}user default off\n", ("--port", "6379"), set()),
    ],
)
def test_file_and_options_together(file: str, options: tuple[str, ...], rules: set[str]) -> None:
    server = given(MASTER, {"mountPath": "/etc/redis"}, WHOLE, *options)
    assert whole(server, rule(), config_map(master_conf=file, more_conf="port 6379\n")).rules == rules


def test_what_is_called_like_a_configuration_is_told_once() -> None:
    server = given("/etc/redis/redis.conf", {"mountPath": "/etc/redis"}, WHOLE)
    texts = config_map(redis_conf="port 6379\n")
    assert asked(*texts).rules == OPEN
    assert whole(server, rule(), texts).rules == set()


@pytest.mark.parametrize(
    ("file", "mount", "volume"),
    [
        (MASTER, {"mountPath": "/etc/redis"}, {"emptyDir": {}}),
        (MASTER, {"mountPath": "/etc/redis"}, {"configMap": {"name": "other"}}),
        (MASTER, {"mountPath": "/etc/redis"}, {"secret": {"secretName": "conf"}}),
        (MASTER, {"mountPath": "/etc/redis"}, {"configMap": {"name": "conf", "items": [{"key": "a", "path": "b"}]}}),
        (MASTER, {"mountPath": "/etc/redis", "subPathExpr": "$(POD)"}, WHOLE),
        (MASTER, {"mountPath": "/other"}, WHOLE),
        ("/etc/redis/other.conf", {"mountPath": "/etc/redis"}, WHOLE),
        ("-", {"mountPath": "/etc/redis"}, WHOLE),
    ],
)
def test_a_file_that_nobody_judges(file: str, mount: dict[str, str], volume: dict[str, Any]) -> None:
    texts = config_map(master_conf=FULL)
    outcome = whole(given(file, mount, volume), rule(), texts)
    assert outcome.rules == {"server-configuration"}
    assert f"`{file}`: its file is in no ConfigMap of this stack" in str(outcome.violations)
    assert whole(given(file, mount, volume, *SEALED), rule(), texts).rules == set(), "its options say all that matters"
    assert whole(given(MASTER, {"mountPath": "/etc/redis"}, WHOLE), rule(), config_map(namespace="x")).rules != set()


def test_a_mount_further_in_hides_the_file() -> None:
    kind, inputs = given(MASTER, {"mountPath": "/etc"}, WHOLE)
    pod = inputs["spec"]["template"]["spec"]
    pod["containers"][0]["volumeMounts"].append({"name": "w", "mountPath": "/etc/redis"})
    pod["volumes"].append({"name": "w", "emptyDir": {}})
    texts = config_map(master_conf=FULL)
    assert whole((kind, inputs), rule(), texts).rules == {"server-configuration"}


def test_a_relative_file_is_in_the_working_directory() -> None:
    kind, inputs = given("./master.conf", {"mountPath": "/etc/redis"}, WHOLE)
    inputs["spec"]["template"]["spec"]["containers"][0]["workingDir"] = "/etc/redis"
    assert whole((kind, inputs), rule(), config_map(master_conf=FULL)).rules == set()
    assert whole((kind, inputs), rule(), config_map(master_conf="port 1\n")).rules == {"server-configuration"}


@pytest.mark.parametrize(
    ("volume", "texts"),
    [
        ({"configMap": {"name": UNKNOWN}}, config_map(master_conf=FULL)),
        (WHOLE, config_map(name=UNKNOWN, master_conf=FULL)),
        (WHOLE, config_map(master_conf=UNKNOWN)),
    ],
)
def test_a_file_that_may_come_is_told(volume: dict[str, Any], texts: tuple[str, dict[str, Any]]) -> None:
    outcome = whole(given(MASTER, {"mountPath": "/etc/redis"}, volume), rule(), texts)
    assert outcome.violations == []
    assert "not known yet: checked as soon as it is" in str(outcome.notes)


def test_services_in_front_of_a_file() -> None:
    spec = {"type": "NodePort", "selector": LABELS, "ports": [{"port": 6379}]}
    service = ("core/v1:Service", {"metadata": {"namespace": "data"}, "spec": spec})
    server = given(MASTER, {"mountPath": "/etc/redis"}, WHOLE)
    assert whole(service, server, rule(), config_map(master_conf=FULL)).rules == set()
    assert "exposed-service" in whole(service, server, rule(), config_map(master_conf="port 1\ntls-port 2\n")).rules
    assert "exposed-service" in whole(service, server, rule()).rules


# --- beside tunnels, and on nodes ---

TUNNEL_ENDS: Final[tuple[dict[str, str], ...]] = ({SSHD: SSHD_TEXT}, {KEYS: KEYS_TEXT}, {SSH: SSH_TEXT})


@pytest.mark.parametrize("files", TUNNEL_ENDS, ids=lambda files: next(iter(files)))
def test_a_node_port_that_a_tunnel_leads_to(files: dict[str, str]) -> None:
    def beside(node_port: int, **more: Any) -> Outcome:
        port = {"port": 8080, "name": "cache", "nodePort": float(node_port)}
        service = {"metadata": {"namespace": "data"}, "spec": {"type": "NodePort", "ports": [port], **more}}
        return whole(
            (ROLE, {"files": files}), ("core/v1:Service", service), ("apps/v1:StatefulSet", workload()), rule()
        )

    outcome = beside(30379)
    assert outcome.rules == {"exposed-service"}
    assert f"what a tunnel leads to ({next(iter(files))}:" in str(outcome.violations)
    assert beside(30380).rules == set()
    assert beside(30379, type="ClusterIP").rules == set()
    assert beside(30379, selector=LABELS).rules == set(), "its pods speak nothing but TLS"


def test_a_tunnel_without_a_node_port_asks_nothing() -> None:
    service = {"spec": {"type": "NodePort", "ports": [{"port": 8080, "name": "cache", "nodePort": UNKNOWN}]}}
    assert whole((ROLE, {"files": {SSHD: SSHD_TEXT}}), ("core/v1:Service", service)).rules == set()


@pytest.mark.parametrize(
    ("container", "open_to_others"),
    [
        ({"args": ["--port", "6379"], "ports": [{"containerPort": 6379, "hostPort": 6379}]}, True),
        ({"args": ["--port", "6379"], "ports": [{"containerPort": 8080, "hostPort": 80}]}, True),
        ({"image": "postgres:17", "command": [], "args": [], "ports": [{"containerPort": 1, "hostPort": 1}]}, True),
        ({"image": "app", "command": ["app"], "ports": [{"containerPort": 8080, "hostPort": 30379}]}, True),
        ({"image": "app", "command": ["app"], "ports": [{"containerPort": 2049, "hostPort": 1}]}, True),
        ({"image": "app", "command": ["app"], "ports": [{"containerPort": 1, "hostPort": 1, "name": "redis"}]}, True),
        ({"image": "app", "command": ["app"], "ports": [{"containerPort": 8080, "hostPort": 8080}]}, False),
        ({"args": ["--port", "6379"], "ports": [{"containerPort": 6379}]}, False),
        (
            {"args": ["--port", "6379"], "ports": [{"containerPort": 6379, "hostPort": 1, "hostIP": "127.0.0.1"}]},
            False,
        ),
        ({"ports": [{"containerPort": 6379, "hostPort": 6379}]}, False),
    ],
)
def test_ports_of_nodes(container: dict[str, Any], open_to_others: bool) -> None:
    outcome = whole((ROLE, {"files": {SSHD: SSHD_TEXT}}), ("apps/v1:DaemonSet", workload(**container)), rule())
    assert outcome.rules == ({"host-port"} if open_to_others else set())


@pytest.mark.parametrize(
    ("container", "open_to_others"),
    [
        ({}, True),
        ({"image": "app", "command": ["app"], "ports": [{"containerPort": 5432}]}, True),
        ({"image": "app", "command": ["app"], "ports": [{"containerPort": 30379}]}, True),
        ({"image": "app", "command": ["app"], "ports": [{"containerPort": 80}]}, False),
    ],
)
def test_the_network_of_nodes(container: dict[str, Any], open_to_others: bool) -> None:
    inputs = workload(**container)
    inputs["spec"]["template"]["spec"]["hostNetwork"] = True
    tunnel = (ROLE, {"files": {SSHD: SSHD_TEXT}})
    assert whole(tunnel, ("apps/v1:DaemonSet", inputs), rule()).rules == ({"host-port"} if open_to_others else set())
    inputs["spec"]["template"]["spec"]["hostNetwork"] = False
    assert whole(tunnel, ("apps/v1:DaemonSet", inputs), rule()).rules == set()


@pytest.mark.parametrize(
    ("pod", "args", "exposed"),
    [
        ("redis-0", SEALED, False),
        ("redis-12", SEALED, False),
        ("redis-0", ("--port", "6379"), True),
        ("redis-x", SEALED, True),
        ("other-0", SEALED, True),
        ("redis-0-0", SEALED, True),
    ],
)
def test_a_service_of_one_pod(pod: str, args: tuple[str, ...], exposed: bool) -> None:
    selector = {"statefulset.kubernetes.io/pod-name": pod}
    spec: dict[str, Any] = {"type": "LoadBalancer", "selector": selector, "ports": [{"port": 6379}]}
    service = ("core/v1:Service", {"metadata": {"namespace": "data"}, "spec": spec})
    expected = {"exposed-service"} if exposed else set()
    assert whole(service, ("apps/v1:StatefulSet", workload(args=list(args))), rule()).rules == expected
    both = {**spec, "selector": {**selector, "app": "other"}}
    service = ("core/v1:Service", {"metadata": {"namespace": "data"}, "spec": both})
    assert whole(service, SERVER, rule()).rules == {"exposed-service"}
    assert whole(service, ("apps/v1:Deployment", workload()), rule()).rules == {"exposed-service"}


# --- groups of pods of our own ---

KINDS: Final = {
    "Job": "batch/v1:Job",
    "NetworkPolicy": "networking.k8s.io/v1:NetworkPolicy",
    "PodDisruptionBudget": "policy/v1:PodDisruptionBudget",
    "StatefulSet": "apps/v1:StatefulSet",
}


def group(name: str) -> list[tuple[str, dict[str, Any]]]:
    """Objects of a group with `exposure`, as its golden files have them."""
    objects = [yaml.safe_load(path.read_text()) for path in sorted((GOLDEN / name).iterdir())]
    return [(KINDS.get(each["kind"], f"core/v1:{each['kind']}"), each) for each in objects]


@pytest.mark.parametrize("name", ["sentinel", "standalone"])
def test_a_group_of_ours_breaks_no_rule(name: str) -> None:
    objects = group(name)
    assert any(each["spec"].get("type") in ("LoadBalancer", "NodePort") for kind, each in objects if "Service" in kind)
    outcome = whole(*objects)
    assert (outcome.violations, outcome.notes) == ([], [])
    plain = json.loads(json.dumps(objects).replace('"--port", "0"', '"--port", "6378"'))
    assert whole(*plain).rules == {"exposed-service", "server-configuration"}
    # The example's clients need no certificate, which hosts' groups have to declare as well.
    said = {rule for kind, inputs in objects for rule in asked(kind, inputs).rules}
    assert said == ({"redis-bind"} if name == "sentinel" else set())


def test_other_pods_need_none() -> None:
    assert whole(("apps/v1:Deployment", workload(image="app:1", command=["app"]))).rules == set()


def test_an_exception_is_told() -> None:
    excepted = {
        "rule": "network-policy",
        "resource": "0",
        "reason": "a cluster of its own, with nobody else in it",
        "expires": "2999-01-01",
    }
    outcome = whole(SERVER, config={"kubernetes-exposure": {"exceptions": [excepted]}})
    assert outcome.violations == []
    assert len(outcome.notes) == 1
