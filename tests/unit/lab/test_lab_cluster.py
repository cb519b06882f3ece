"""What makes a node of the lab's cluster, and what is said about one that is not well."""

from __future__ import annotations

import base64
import json
import re
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.settings import InvalidConfigurationError, load
from lab import stack
from lab.cluster import gate, health, identities, node_image
from lab.settings import POD_SUBNET, SERVICE_SUBNET, ClusterSettings, LabSettings

IMAGE = Path(node_image.__file__).parent / "image"
HOSTS = ["app1", "control", "worker1"]


def lab(**cluster: Any) -> LabSettings:
    return load(LabSettings, {"hosts": HOSTS, "cache": None, "cluster": cluster}, "lab")


def test_a_lab_has_no_cluster_unless_it_is_told_so() -> None:
    assert LabSettings().cluster is None
    assert LabSettings().nodes == ()
    assert lab().nodes == ("control", "worker1")


def test_the_dev_stack_says_whether_nodes_are_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "ROOT", tmp_path)
    for cluster, nodes in (("null", ()), ("{}", ("control", "worker1"))):
        text = f"config: {{sealed-data-tier:lab: {{hosts: [control, worker1], cache: null, cluster: {cluster}}}}}"
        (tmp_path / "Pulumi.dev.yaml").write_text(text)
        assert stack.settings().nodes == nodes


def test_every_node_has_pods_of_its_own() -> None:
    cluster = ClusterSettings(workers=("worker1", "worker2"))
    subnets = [cluster.pods(node) for node in cluster.nodes]
    assert subnets == [IPv4Network(f"10.244.{number}.0/24") for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"cluster": {"workers": ["db1"]}}, "cluster nodes db1 are not in hosts: add them there"),
        ({"cluster": {"workers": ["control"]}}, "cluster nodes control, control name a host twice"),
        ({"cluster": {}, "subnet": "10.244.7.0/24"}, "subnet 10.244.7.0/24 overlaps 10.244.0.0/16, which is the"),
        ({"cluster": {"source": "kind"}}, "lab.cluster.source"),
        (
            {"cluster": {"source": "kubeconfig"}},
            "lab.cluster.kubeconfig: is missing with source: kubeconfig, and KUBECONFIG is not set: name the file in "
            "either, or build a cluster with source: built",
        ),
        ({"cluster": {"kubeconfig": "/a"}}, "lab.cluster.kubeconfig: is read by nobody with source: built"),
        (
            {"cluster": {"source": "kubeconfig", "kubeconfig": "/nowhere"}},
            "lab.cluster.kubeconfig: /nowhere is no file: make the cluster first, or build one",
        ),
        (
            {"cluster": {"master": "control"}},
            "lab.cluster.master: nobody reads this key: use one of controlPlane, kubeconfig",
        ),
        ({"hosts": ["cluster"]}, "lab.hosts[0]: 'cluster' cannot name a host"),
        (
            {"cluster": {}, "cache": {"workers": ["worker1"]}},
            "cache.workers is read by nobody with a cluster, whose nodes all offer it: leave it out",
        ),
        (
            {"cluster": {}, "cache": {"port": 6379}},
            "cache.port 6379 is no NodePort, which it is with a cluster: use one of 30000 to 32767",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_fix(
    given: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    with pytest.raises(InvalidConfigurationError) as refused:
        load(LabSettings, {"hosts": HOSTS, "cache": None, **given}, "lab")
    assert says in str(refused.value)


def test_a_cluster_that_exists_is_found_as_kubectl_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.touch()
    other.touch()
    monkeypatch.setenv("KUBECONFIG", str(other))
    assert ClusterSettings(source="kubeconfig").file == other
    assert ClusterSettings(source="kubeconfig", kubeconfig=mine).file == mine
    assert ClusterSettings().file is None


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "is missing with source: kubeconfig, and KUBECONFIG is not set"),
        ("/nowhere", "/nowhere, which KUBECONFIG names, is no file: make the cluster first"),
        ("/a:/b", "is missing, and KUBECONFIG names several files: name one of /a:/b here"),
    ],
)
def test_a_variable_that_leads_nowhere_is_refused(value: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", value)
    with pytest.raises(InvalidConfigurationError) as refused:
        lab(source="kubeconfig")
    assert f"lab.cluster.kubeconfig: {says}" in str(refused.value)


def test_subnets_are_the_same_in_the_image() -> None:
    service = (IMAGE / "root/etc/systemd/system/kube-apiserver.service").read_text()
    assert f"--service-cluster-ip-range={SERVICE_SUBNET}" in service
    proxy = yaml.safe_load((IMAGE / "root/etc/kubernetes/kube-proxy.yaml").read_text())
    assert proxy["clusterCIDR"] == str(POD_SUBNET)
    script = (IMAGE / "root/usr/local/libexec/cluster-node").read_text()
    assert set(re.findall(r"10\.[\d./]+", script)) == {str(POD_SUBNET)}
    kubelet = yaml.safe_load((IMAGE / "root/etc/kubernetes/kubelet.yaml").read_text())
    *_, dns = yaml.safe_load_all((IMAGE / "root/usr/local/share/cluster/addons/dns.yaml").read_text())
    assert kubelet["clusterDNS"] == [dns["spec"]["clusterIP"]] == [str(SERVICE_SUBNET[10])]


def test_images_of_pods_are_named_in_one_way() -> None:
    *_, dns, _ = yaml.safe_load_all((IMAGE / "root/usr/local/share/cluster/addons/dns.yaml").read_text())
    assert dns["spec"]["template"]["spec"]["containers"][0]["image"] == node_image.pod_image("coredns")
    assert (
        f'sandbox_image = "{node_image.pod_image("pause")}"' in (IMAGE / "root/etc/containerd/config.toml").read_text()
    )


def test_a_kubeconfig_holds_all_that_a_client_needs() -> None:
    config = json.loads(identities.kubeconfig("https://192.0.2.1:6443", "authority", "certificate", "key"))
    assert config["current-context"] == config["contexts"][0]["name"]
    assert config["clusters"][0]["cluster"]["server"] == "https://192.0.2.1:6443"
    assert base64.b64decode(config["users"][0]["user"]["client-key-data"]) == b"key"


def test_pods_keep_their_addresses_among_nodes() -> None:
    bridge, _ = json.loads(identities.network(IPv4Network("10.244.2.0/24")))["plugins"]
    assert bridge["ipMasq"] is False
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.244.2.0/24"}]]


def test_a_cluster_that_is_not_ready_is_an_error_that_says_what_is_missing() -> None:
    assert gate._opened("lab-cluster", 0, "CoreDNS\n", "config") == "config"
    with pytest.raises(
        Exception, match=r"node worker1 was not ready within 180 s .* lab cluster why .* rm lab-cluster"
    ):
        gate._opened("lab-cluster", 124, "the API server\nnode worker1\n", "config")


def condition(name: str, status: str, message: str = "") -> dict[str, str]:
    return {"type": name, "status": status, "message": message}


def test_a_node_says_why_it_is_not_ready() -> None:
    node: dict[str, Any] = {"metadata": {"name": "worker1"}, "status": {"conditions": [condition("Ready", "True")]}}
    assert not list(health.not_ready(node))
    node["status"]["conditions"] = [condition("Ready", "False", "network plugin not ready")]
    assert list(health.not_ready(node)) == ["node worker1 is not ready: network plugin not ready"]
    node["status"] = {}
    assert list(health.not_ready(node)) == ["node worker1 is not ready: kubelet never said anything"]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({"phase": "Succeeded"}, []),
        ({"phase": "Running", "containerStatuses": [{"name": "c", "state": {"running": {}}, "ready": True}]}, []),
        (
            {"phase": "Pending", "conditions": [condition("PodScheduled", "False", "0/2 nodes are available")]},
            ["pod a/b has no node: 0/2 nodes are available"],
        ),
        (
            {
                "phase": "Running",
                "containerStatuses": [
                    {
                        "name": "c",
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {"terminated": {"reason": "OOMKilled"}},
                    }
                ],
            },
            ["pod a/b: container c is CrashLoopBackOff: OOMKilled"],
        ),
        (
            {"phase": "Running", "containerStatuses": [{"name": "c", "state": {"running": {}}, "ready": False}]},
            ["pod a/b: container c runs, but its readiness probe fails"],
        ),
    ],
)
def test_a_pod_says_why_it_does_not_run(status: dict[str, Any], says: list[str]) -> None:
    pod = {"metadata": {"namespace": "a", "name": "b"}, "status": status}
    assert list(health.not_running(pod)) == says
