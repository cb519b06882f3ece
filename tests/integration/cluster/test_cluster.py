"""The lab's cluster does what a Kubernetes does."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from lab.cluster import node_image
from tests.integration.cluster.stack import Cluster, machine, why
from tests.integration.support import wait_for

pytestmark = pytest.mark.engine

PASSWORD = "a password that pods read"
PORT = 6379
NODE_PORT = 30379


def pod(name: str, node: str, *command: str) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "valkey",
        "image": node_image.pod_image("valkey"),
        "imagePullPolicy": "Never",
        "command": list(command),
    }
    spec = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def server(name: str, node: str) -> dict[str, Any]:
    """A Valkey that has a password mounted and answers everybody."""
    made = pod(name, node, "valkey-server", "--port", str(PORT), "--protected-mode", "no", "--save", "")
    container = made["spec"]["containers"][0]
    probe = {"exec": {"command": ["valkey-cli", "-p", str(PORT), "ping"]}, "periodSeconds": 1}
    container |= {
        "readinessProbe": probe,
        "volumeMounts": [{"name": "password", "mountPath": "/etc/password", "readOnly": True}],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
    }
    made["spec"]["volumes"] = [{"name": "password", "secret": {"secretName": "password"}}]
    return made


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    """A Valkey on the worker behind a Service with a node port, and a client on each node."""
    with cluster.namespace("data") as namespace:
        objects = [
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "password"}, "stringData": {"it": PASSWORD}},
            server("server", "worker1"),
            pod("friend", "control", "sleep", "infinity"),
            pod("stranger", "worker1", "sleep", "infinity"),
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "cache"},
                "spec": {
                    "type": "NodePort",
                    "selector": {"app": "server"},
                    "ports": [{"port": PORT, "nodePort": NODE_PORT}],
                },
            },
        ]
        for each in objects:
            each["metadata"]["namespace"] = namespace
        cluster.apply(*objects)
        cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pods", "--all", "--timeout=60s")
        yield namespace


def ping(host: str, port: int) -> bytes:
    with socket.create_connection((host, port), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(16)


def test_every_node_is_ready_at_the_pinned_version(cluster: Cluster) -> None:
    nodes = json.loads(cluster.kubectl("get", "nodes", "--output=json"))["items"]
    versions = {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}
    assert versions == dict.fromkeys(("control", "worker1"), f"v{node_image.version()}")
    assert json.loads(cluster.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"] == versions["control"]
    assert why() == (0, "The cluster is well: every unit runs, every node is ready, every pod runs.\n")


def test_this_machine_reaches_it_by_the_kubeconfig(cluster: Cluster) -> None:
    outputs = cluster.project.pulumi("stack", "output", "--json").text
    assert json.loads(outputs)["kubeconfig"] == "[secret]"
    config = json.loads(cluster.project.outputs()["kubeconfig"])
    assert config["clusters"][0]["cluster"]["server"] == f"https://{cluster.host('control').address}:6443"
    asked = cluster.host("outsider").run(
        ["curl", "--silent", "--insecure", f"{config['clusters'][0]['cluster']['server']}/api/v1/secrets"]
    )
    assert json.loads(asked.stdout)["message"].startswith('secrets is forbidden: User "system:anonymous"')


def test_a_pod_reads_its_secret(cluster: Cluster, namespace: str) -> None:
    assert cluster.exec(namespace, "server", "cat", "/etc/password/it") == PASSWORD


def test_names_are_known_in_pods(cluster: Cluster, namespace: str) -> None:
    address = json.loads(cluster.kubectl("-n", namespace, "get", "service", "cache", "-o", "json"))["spec"]["clusterIP"]
    for name in ("cache", f"cache.{namespace}.svc.cluster.local"):
        assert cluster.exec(namespace, "friend", "getent", "hosts", name).split()[0] == address
    assert cluster.answers(namespace, "friend", "cache", PORT)


def test_a_node_port_answers_on_every_node_and_on_loopback(cluster: Cluster, namespace: str) -> None:
    for node in ("control", "worker1"):
        assert ping(cluster.host(node).address, NODE_PORT) == b"+PONG\r\n"
        asked = cluster.host(node).run(f"valkey-cli -h 127.0.0.1 -p {NODE_PORT} ping")
        assert asked.stdout == "PONG\n"
    asked = cluster.host("outsider").run(f"valkey-cli -h worker1 -p {NODE_PORT} ping")
    assert asked.stdout == "PONG\n"


def test_a_network_policy_lets_in_whom_it_names(cluster: Cluster, namespace: str) -> None:
    address = json.loads(cluster.kubectl("-n", namespace, "get", "pod", "server", "-o", "json"))["status"]["podIP"]
    for target in (address, "cache"):
        assert cluster.answers(namespace, "friend", target, PORT)
        assert cluster.answers(namespace, "stranger", target, PORT)
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "friends", "namespace": namespace},
        "spec": {
            "podSelector": {"matchLabels": {"app": "server"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}], "ports": [{"port": PORT}]}],
        },
    }
    cluster.apply(policy)
    wait_for(lambda: not cluster.answers(namespace, "stranger", address, PORT))
    assert not cluster.answers(namespace, "stranger", "cache", PORT)
    assert cluster.answers(namespace, "friend", address, PORT)
    assert cluster.answers(namespace, "friend", "cache", PORT)
    cluster.kubectl("-n", namespace, "delete", "networkpolicy", "friends")
    wait_for(lambda: cluster.answers(namespace, "stranger", address, PORT))


def test_roles_decide_who_may_do_what(cluster: Cluster, namespace: str) -> None:
    reader = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": namespace}}
    rules = [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["password"], "verbs": ["get"]}]
    group = "rbac.authorization.k8s.io"
    named = {"name": "reader", "namespace": namespace}
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": named, "rules": rules}
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": named,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", **named}],
    }
    cluster.apply(reader)
    asked = ("-n", namespace, f"--as=system:serviceaccount:{namespace}:reader", "get", "secret", "password")
    assert "is forbidden" in cluster.refusal(*asked)
    cluster.apply(role, binding)
    wait_for(lambda: "password" in cluster.kubectl(*asked, check=False))
    assert "is forbidden" in cluster.refusal(*asked[:-2], "secrets")


def test_objects_of_a_definition_keep_fields_that_it_does_not_know(cluster: Cluster, namespace: str) -> None:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.lab.example.com"},
        "spec": {
            "group": "lab.example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    cluster.apply(definition)
    try:
        cluster.kubectl("wait", "--for=condition=Established", "crd/widgets.lab.example.com", "--timeout=30s")
        spec = {"anything": {"goes": [1, "two", {"three": 3}]}}
        metadata = {"name": "one", "namespace": namespace}
        cluster.apply({"apiVersion": "lab.example.com/v1", "kind": "Widget", "metadata": metadata, "spec": spec})
        assert json.loads(cluster.kubectl("-n", namespace, "get", "widget", "one", "-o", "json"))["spec"] == spec
    finally:
        cluster.kubectl("delete", "crd", "widgets.lab.example.com")


def test_it_says_why_it_is_not_well(cluster: Cluster, namespace: str) -> None:
    broken = pod("broken", "worker1", "sleep", "infinity")
    broken["metadata"]["namespace"] = namespace
    broken["spec"]["containers"][0]["image"] = "sealed-data-tier.lab/nothing:1"
    cluster.apply(broken)
    worker = cluster.host("worker1")
    try:
        wait_for(lambda: "ErrImageNeverPull" in why()[1])
        worker.run(["systemctl", "stop", "kube-proxy"])
        code, text = why()
        assert code == 1
        assert f"pod {namespace}/broken: container valkey is ErrImageNeverPull" in text
        assert "worker1: kube-proxy is inactive" in text
    finally:
        worker.run(["systemctl", "start", "kube-proxy"])
        cluster.kubectl("-n", namespace, "delete", "pod", "broken")
    wait_for(lambda: why()[0] == 0)


def test_a_node_that_was_rebooted_comes_back_with_its_pods(cluster: Cluster, namespace: str) -> None:
    cluster.host("worker1").restart()
    wait_for(lambda: why()[0] == 0, 120)
    wait_for(lambda: cluster.answers(namespace, "friend", "cache", PORT), 60)


def test_the_machine_is_left_as_it_was(cluster: Cluster) -> None:
    assert machine() == cluster.before


def test_nothing_changes_without_a_change(cluster: Cluster) -> None:
    assert cluster.project.up().unchanged
