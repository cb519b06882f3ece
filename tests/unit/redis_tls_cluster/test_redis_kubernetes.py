"""Groups on Kubernetes: golden objects, what is refused, and what the engine is told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from components.certificates import CertificateAuthority
from components.errors import ConfigurationError
from components.kubernetes_cluster import KubernetesCluster
from components.redis_tls_cluster import RedisTlsCluster, RedisTlsClusterArgs, RedisTlsSettings
from components.redis_tls_cluster.kubernetes.names import SENTINEL, SERVER
from components.redis_tls_cluster.kubernetes.objects import Objects, secret_keys
from components.settings import InvalidConfigurationError, load
from policies.parsers import redis
from tests.unit.ssh_tunnel_host.registered import PRIVATE_KEY, Registered, register, revealed
from tests.variation import varied

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "redis_kubernetes"
NAMES: Final = sorted(path.stem for path in GOLDEN.glob("*.yaml"))
ONE: Final[dict[str, Any]] = {"kubernetes": {"namespace": "data", "image": "redis:8.0"}}
WATCHED: Final = {**ONE, "topology": "sentinel"}


class Readable(yaml.SafeDumper):
    """Texts of several lines as such."""


Readable.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)
Readable.ignore_aliases = lambda *_: True  # type: ignore[method-assign]


def golden(name: str) -> RedisTlsSettings:
    return load(RedisTlsSettings, yaml.safe_load((GOLDEN / f"{name}.yaml").read_text()), "redis")


def objects(settings: RedisTlsSettings) -> list[dict[str, Any]]:
    """Everything that reviewers see of a group; of scripts, which are files of this repository, the first line."""
    made = Objects(settings)
    told = list(made.configuration())
    for each in told:
        each["data"] = {key: text[:10] if text.startswith("#!/bin/sh") else text for key, text in each["data"].items()}
    secrets = [made.secret(part, dict.fromkeys(secret_keys(part), "[secret]")) for part in made.parts]
    around = [*made.headless(), *made.services(), *made.policies(), *made.budgets()]
    sets = [made.servers("startup"), *([made.sentinels("everything")] if SENTINEL in made.parts else [])]
    return [*told, *secrets, *around, *made.volumes(), *sets, made.settle("everything")]


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str) -> None:
    for each in objects(golden(name)):
        text = yaml.dump(each, Dumper=Readable, sort_keys=False, width=120)
        path = GOLDEN / name / f"{each['kind'].lower()}-{each['metadata']['name']}.yaml"
        if os.environ.get("UPDATE_GOLDEN"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        assert path.read_text() == text


@pytest.mark.parametrize("name", NAMES)
def test_no_other_golden_objects(name: str) -> None:
    known = {f"{each['kind'].lower()}-{each['metadata']['name']}.yaml" for each in objects(golden(name))}
    assert {path.name for path in (GOLDEN / name).iterdir()} == known


@pytest.mark.parametrize("name", NAMES)
def test_policies_read_what_is_written(name: str) -> None:
    settings = golden(name)
    data = next(Objects(settings).configuration())["data"]
    files = {f"/etc/{settings.flavour}/{key}": text for key, text in data.items()}
    read = redis.parse(f"/etc/{settings.flavour}/{settings.flavour}.conf", files)
    assert not read.problems
    assert int(read.port.value) == 0
    assert int(read.tls_port.value) == settings.tls_port
    assert read.setting("tls-auth-clients").value == settings.tls.auth_clients


@pytest.mark.parametrize("name", NAMES)
def test_pods_are_as_restricted_as_they_can_be(name: str) -> None:
    for each in objects(golden(name)):
        if each["kind"] not in ("StatefulSet", "Job"):
            continue
        spec = each["spec"]["template"]["spec"]
        assert not spec["automountServiceAccountToken"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_names_that_are_dialled_are_certified() -> None:
    names = Objects(golden("sentinel")).names
    assert "orders-server-0.orders-servers.data.svc.cluster.local" in names.certified(SERVER)
    assert "orders.example.com" in names.certified(SERVER)
    assert "orders.data.svc" not in names.certified(SERVER)
    assert {"orders", "orders.data", "orders.data.svc", "orders.data.svc.cluster.local"} < set(
        names.certified(SENTINEL)
    )
    assert "orders.example.com" not in names.certified(SENTINEL)
    assert set(names.group.nodes) < set(names.certified(SERVER))
    assert set(names.group.sentinels) < set(names.certified(SENTINEL))


def test_clients_are_let_in_to_the_tls_port_only() -> None:
    policy = next(Objects(golden("standalone")).policies())["spec"]
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 6379}]
    assert [next(iter(each)) for each in rule["from"]] == ["podSelector", "podSelector", "ipBlock"]
    assert rule["from"][2] == {"ipBlock": {"cidr": "192.0.2.30/32"}}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({}, "redis.nodes: is missing: list the hosts of its servers, or say kubernetes"),
        (
            {**ONE, "nodes": [{"host": "redis1"}]},
            "redis.nodes: a group is on hosts or on Kubernetes: remove this, or kubernetes",
        ),
        (
            {**ONE, "topology": "cluster"},
            "redis.topology: cluster cannot be used on Kubernetes: its nodes know each other by addresses, which pods "
            "change: use sentinel, or hosts",
        ),
        (
            {**ONE, "clients": ["192.0.2.0/24"]},
            "redis.clients: has no meaning on Kubernetes: say who may connect in kubernetes.clients",
        ),
        (
            {**WATCHED, "sentinel": {"hosts": ["redis1"]}},
            "redis.sentinel.hosts: has no meaning on Kubernetes: say how many in kubernetes.sentinels",
        ),
        (
            {**ONE, "tls": {"plaintext": {"because": "batch jobs", "until": "2099-01-01"}}},
            "redis.tls.plaintext: has no meaning on Kubernetes: pods take no plaintext: remove it",
        ),
        (
            {**ONE, "tls": {"directory": "/keys"}},
            "redis.tls.directory: has no meaning on Kubernetes: pods have a place",
        ),
        ({**ONE, "dataDirectory": "/data"}, "redis.dataDirectory: has no meaning on Kubernetes: pods have a volume"),
        (
            varied(ONE, "kubernetes.servers", 2),
            "redis.kubernetes.servers: 2 nodes: standalone is one; set topology to sentinel or cluster",
        ),
        (
            varied(ONE, "kubernetes.sentinels", 3),
            "redis.kubernetes.sentinels: nobody watches with topology standalone: remove it",
        ),
        (
            varied(WATCHED, "kubernetes.sentinels", 4),
            "redis.kubernetes.sentinels: 4 outlive no more losses than 3: use an odd number",
        ),
        (
            varied({**WATCHED, "replication": {"minReplicasToWrite": 0}}, "kubernetes.servers", 1),
            "redis.kubernetes.servers: one node has no replica that could take",
        ),
        (varied(WATCHED, "sentinel.quorum", 1), "redis.sentinel.quorum: 1 of 3: use 2 to 3, so that no minority acts"),
        (varied(ONE, "kubernetes.namespace", "My_Data"), "redis.kubernetes.namespace: 'My_Data' is no DNS label"),
        (varied(ONE, "kubernetes.image", "redis@sha256:ab"), "redis.kubernetes.image: 'redis@sha256:ab' is no image"),
        (
            varied(ONE, "kubernetes.resources", {"memory": "much"}),
            "redis.kubernetes.resources.memory: 'much' is no qua",
        ),
        (
            varied(ONE, "kubernetes.clients", [{}]),
            "redis.kubernetes.clients[0].pods: say who: pods by their labels, or",
        ),
        (
            varied(ONE, "kubernetes.clients", [{"network": "192.0.2.1", "namespace": "shop"}]),
            "redis.kubernetes.clients[0].namespace: 'shop' says where pods are: give their labels as pods",
        ),
        (
            varied(WATCHED, "kubernetes.exposure", {"type": "NodePort", "names": ["a.example"], "nodePorts": [30001]}),
            "redis.kubernetes.exposure.nodePorts: 1 for 3 servers: list one each, or none",
        ),
        (
            varied(ONE, "kubernetes.exposure", {"type": "NodePort", "names": ["a.example"], "nodePorts": [80]}),
            "redis.kubernetes.exposure.nodePorts[0] (80)",
        ),
    ],
)
def test_what_cannot_work_is_refused(data: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidConfigurationError) as refused:
        load(RedisTlsSettings, data, "redis")
    assert refused.value.problems[0].startswith(problem)
    assert len(refused.value.problems) == 1


def test_no_load_balancer_on_a_host_is_led_to_pods() -> None:
    def program() -> None:
        args = RedisTlsClusterArgs(settings=golden("sentinel"), authority=CertificateAuthority("root"), where="redis")
        with pytest.raises(
            ConfigurationError, match=r"redis\.kubernetes\.namespace: 'data' cannot be used: its servers"
        ):
            args.primary_backend(user="app", password="PASSWORD")

    register(program)


def registered(name: str, **more: Any) -> dict[str, Registered]:
    settings = load(RedisTlsSettings, yaml.safe_load((GOLDEN / f"{name}.yaml").read_text()) | more, "redis")

    def program() -> None:
        RedisTlsCluster("it", RedisTlsClusterArgs(settings=settings, authority=CertificateAuthority("root")))

    return register(program)


def test_types_and_names_stay() -> None:
    found = registered("standalone")
    own = {name: each.kind.removeprefix("kubernetes:") for name, each in found.items() if name.startswith("it")}
    assert {name: kind for name, kind in own.items() if not kind.startswith(("tls:", "sealed-data-tier:"))} == {
        "it-kubernetes": "pulumi:providers:kubernetes",
        "it-kubernetes-keeper": "pulumi:providers:kubernetes",
        "it-scripts-config": "core/v1:ConfigMap",
        "it-server-config": "core/v1:ConfigMap",
        "it-server-secret": "core/v1:Secret",
        "it-servers-service": "core/v1:Service",
        "it-service": "core/v1:Service",
        "it-server-0-outside-service": "core/v1:Service",
        "it-server-policy": "networking.k8s.io/v1:NetworkPolicy",
        "it-settle-policy": "networking.k8s.io/v1:NetworkPolicy",
        "it-server-0-volume": "core/v1:PersistentVolumeClaim",
        "it-server-pods": "apps/v1:StatefulSet",
        "it-settle-job": "batch/v1:Job",
    }


def test_secrets_are_in_secrets_only() -> None:
    found = registered("sentinel", users=[{"name": "app", "password": "correct-horse"}])
    shown = {name: each.inputs for name, each in found.items() if "Secret" not in each.kind and "tls:" not in each.kind}
    text = json.dumps(shown, default=str)
    assert "correct-horse" not in text
    assert PRIVATE_KEY not in text
    assert set(revealed(found["it-server-secret"].inputs["stringData"])) == set(secret_keys(SERVER))
    assert set(revealed(found["it-sentinel-secret"].inputs["stringData"])) == set(secret_keys(SENTINEL))


def test_volumes_grow_where_they_are() -> None:
    found = registered("sentinel")
    sets = [each for each in found.values() if each.kind == "kubernetes:apps/v1:StatefulSet"]
    assert [each.ignored for each in sets] == [("spec.volumeClaimTemplates",)] * 2
    volume = found["it-server-0-volume"]
    assert volume.inputs["metadata"]["name"] == "data-orders-server-0"
    assert volume.inputs["spec"]["resources"] == {"requests": {"storage": "1Gi"}}
    assert volume.ignored == ("spec.storageClassName",)
    assert len([each for each in found.values() if each.kind == "kubernetes:core/v1:PersistentVolumeClaim"]) == 6


@pytest.mark.parametrize("removed", [False, True])
def test_no_stateful_set_takes_data_with_it(removed: bool) -> None:
    found = registered("sentinel", removeData=removed)
    for part in ("server", "sentinel"):
        spec = found[f"it-{part}-pods"].inputs["spec"]
        assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
        assert found[f"it-{part}-0-volume"].retained is not removed


def test_everything_is_put_into_the_cluster_that_is_given() -> None:
    def program() -> None:
        cluster = KubernetesCluster("one", kubeconfig="kubeconfig", context="lab")
        args = RedisTlsClusterArgs(settings=golden("sentinel"), authority=CertificateAuthority("root"), cluster=cluster)
        RedisTlsCluster("it", args)

    found = register(program)
    providers = {name: each.inputs for name, each in found.items() if each.kind == "pulumi:providers:kubernetes"}
    assert {name: (each["kubeconfig"], each["context"]) for name, each in providers.items()} == {
        "one": ("kubeconfig", "lab"),
        "one-keeper": ("kubeconfig", "lab"),
    }
    objects = [each for each in found.values() if each.kind.startswith("kubernetes:")]
    assert {(each.provider, each.kind.endswith("PersistentVolumeClaim")) for each in objects} == {
        ("one", False),
        ("one-keeper", True),
    }
