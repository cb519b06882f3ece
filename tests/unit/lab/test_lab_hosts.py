"""The lab's resources: what is created for which host, what is secret, and what waits for what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from lab import host_image
from lab.cluster import node_image
from lab.hosts import Lab, LabArgs, LabEndpoint, _all_ready
from lab.settings import ClusterSettings, LabSettings


class Engine(mocks.Mocks):
    """Remembers what was registered; keys are told by their resource's name."""

    def __init__(self) -> None:
        self.inputs: dict[str, dict[str, Any]] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.inputs[args.name] = args.inputs
        outputs = dict(args.inputs)
        if args.typ == "tls:index/privateKey:PrivateKey":
            outputs |= {"privateKeyOpenssh": f"private {args.name}", "publicKeyOpenssh": f"ssh-ed25519 {args.name}\n"}
            outputs["privateKeyPem"] = f"private {args.name}"
        if args.typ.startswith("tls:index/") and "Cert" in args.typ:
            outputs |= {"certPem": f"certificate {args.name}", "certRequestPem": f"request {args.name}"}
        if args.typ.startswith("kubernetes:"):
            outputs["metadata"] = args.inputs["metadata"]
        if args.typ == "docker:index/container:Container":
            outputs |= {"exitCode": 0, "containerLogs": ""}
        return f"{args.name}-id", outputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(args.token)


@pytest.fixture
def engine() -> Engine:
    engine = Engine()
    mocks.set_mocks(engine)
    return engine


def build(**given: Any) -> tuple[Lab, dict[str, Any]]:
    """A lab, and its outputs once everything is registered."""
    values: dict[str, Any] = {}

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> pulumi.Output[None]:
        lab = Lab("lab", LabArgs(**given))
        values["lab"] = lab
        seen = {
            host: pulumi.Output.all(end.address, end.host_key, end.container_id) for host, end in lab.endpoints.items()
        }
        outputs: pulumi.Output[Any] = pulumi.Output.all(hosts=seen, cache=lab.cache_password, sudo=lab.sudo_password)
        return outputs.apply(values.update)

    program()
    return values["lab"], values


def files(inputs: dict[str, Any]) -> dict[str, dict[str, Any]]:
    uploads = inputs["uploads"]
    if isinstance(uploads, dict):  # a secret arrives in its envelope
        uploads = uploads["value"]
    return {each["file"]: each for each in uploads}


def test_every_host_is_one_container_of_the_image(engine: Engine) -> None:
    build()
    for host in LabSettings().hosts:
        inputs = engine.inputs[f"lab-{host}"]
        assert inputs["name"] == f"sealed-data-tier-{host}"
        assert inputs["image"] == host_image.reference()
        assert {"label": "sealed-data-tier.host", "value": host} in inputs["labels"]


def test_a_host_knows_all_others_by_name(engine: Engine) -> None:
    build(settings=LabSettings(hosts=("app1", "worker1", "worker2")))
    assert files(engine.inputs["lab-worker1"])["/etc/lab-hosts"]["content"] == (
        "# the lab's other hosts\n"
        "10.203.17.11 app1.example.com app1\n"
        "fd5d:7a1e:203:17::b app1.ipv6.example.com\n"
        "10.203.17.13 worker2.example.com worker2\n"
        "fd5d:7a1e:203:17::d worker2.ipv6.example.com\n"
    )


def test_endpoints_are_what_a_production_stack_configures(engine: Engine) -> None:
    lab, values = build()
    assert isinstance(lab.endpoints["worker1"], LabEndpoint)
    assert values["hosts"]["worker1"] == ["10.203.17.14", "ssh-ed25519 lab-worker1-host-key", "lab-worker1-id"]


def test_host_keys_are_pinned_and_private(engine: Engine) -> None:
    build()
    uploaded = files(engine.inputs["lab-app1"])
    key = uploaded["/etc/ssh/ssh_host_ed25519_key"]
    assert (key["content"], key["permissions"]) == ("private lab-app1-host-key", "0600")
    assert uploaded["/etc/lab-passwords"]["permissions"] == "0600"
    assert uploaded["/home/ops/.ssh/authorized_keys"]["content"] == "ssh-ed25519 lab-key\n"


def test_only_workers_reach_the_cache_service(engine: Engine) -> None:
    build()
    sharing = {name for name, inputs in engine.inputs.items() if inputs.get("volumes")}
    assert sharing == {"lab-cache", "lab-worker1", "lab-worker2"}
    assert engine.inputs["lab-cache"]["networkMode"] == "none"
    assert all(volume["readOnly"] for volume in engine.inputs["lab-worker1"]["volumes"])


def test_a_lab_without_the_cache_has_nothing_of_it(engine: Engine) -> None:
    build(settings=LabSettings(prefix="bench", hosts=("h1", "h2"), cache=None, subnet6=None))
    assert not [name for name in engine.inputs if "cache" in name]
    assert engine.inputs["lab-h1"]["name"] == "bench-h1"
    assert engine.inputs["lab-network"]["ipv6"] is False


def test_only_nodes_of_a_cluster_are_made_of_its_image_and_have_its_keys(engine: Engine) -> None:
    cluster = ClusterSettings(control_plane="control", workers=("worker1",))
    build(settings=LabSettings(hosts=("app1", "control", "worker1"), cache=None, cluster=cluster))
    images = {host: engine.inputs[f"lab-{host}"]["image"] for host in ("app1", "control", "worker1")}
    node = node_image.reference()
    assert images == {"app1": host_image.reference(), "control": node, "worker1": node}
    kept = {
        host: {file for file in files(engine.inputs[f"lab-{host}"]) if "/etc/kubernetes" in file} for host in images
    }
    assert not kept["app1"]
    assert kept["worker1"] == {
        f"/etc/kubernetes/{file}"
        for file in (
            "node.env",
            "pki/ca.crt",
            "pki/kubelet.crt",
            "pki/kubelet.key",
            "kubelet.kubeconfig",
            "kube-proxy.kubeconfig",
            "kube-network-policies.kubeconfig",
        )
    }
    assert kept["control"] > kept["worker1"]
    uploaded = files(engine.inputs["lab-control"])
    assert all(
        uploaded[file]["permissions"] == "0600" for file in kept["control"] if file.endswith((".key", ".kubeconfig"))
    )
    assert uploaded["/etc/kubernetes/node.env"]["content"] == (
        'NODE_ADDRESS=10.203.17.12\nPODS=10.244.1.0/24\nROUTES="10.244.2.0/24=10.203.17.13"\n'
    )


def test_the_cache_is_in_the_cluster_where_the_lab_builds_one(engine: Engine) -> None:
    cluster = ClusterSettings(control_plane="control", workers=("worker1",))
    build(settings=LabSettings(hosts=("app1", "control", "worker1"), cluster=cluster), cache_password="hunter2")
    assert sorted(name for name in engine.inputs if "cache" in name) == [
        *("lab-cache-clients", "lab-cache-configuration", "lab-cache-namespace"),
        *("lab-cache-node-port", "lab-cache-password", "lab-cache-valkey"),
    ]
    assert not [name for name, inputs in engine.inputs.items() if inputs.get("volumes")]
    assert engine.inputs["lab-cache-node-port"]["spec"]["ports"] == [{"port": 6379, "nodePort": 30379}]
    having = {name for name, inputs in engine.inputs.items() if "hunter2" in str(inputs)}
    assert having == {"lab-cache-password"}


def test_a_cluster_that_exists_is_reached_by_its_own_file_and_adds_nothing(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("an administrator's")
    cluster = ClusterSettings(source="kubeconfig", kubeconfig=file)
    lab, _ = build(settings=LabSettings(hosts=("app1",), cache=None, cluster=cluster))
    assert lab.kubeconfig is not None
    assert sorted(name for name in engine.inputs if "cluster" in name) == []
    seen: list[str] = []

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def read() -> pulumi.Output[None]:
        assert lab.kubeconfig
        return lab.kubeconfig.apply(seen.append)

    read()
    assert seen == ["an administrator's"]


def test_passwords_are_made_where_none_is_given(engine: Engine) -> None:
    _, made = build()
    assert len({made["cache"], made["sudo"]}) == 2
    _, given = build(cache_password="one", sudo_password="two")
    assert (given["cache"], given["sudo"]) == ("one", "two")


def test_passwords_and_keys_are_in_no_argument_label_or_name(engine: Engine) -> None:
    build(cache_password="hunter2", sudo_password="hunter2")
    for inputs in engine.inputs.values():
        rest = {key: value for key, value in inputs.items() if key != "uploads"}
        assert "hunter2" not in str(rest)
        assert "private " not in str(rest)


def test_a_host_that_stays_silent_is_an_error_that_names_it() -> None:
    assert _all_ready("lab-ready", 0, "10.0.0.11\n10.0.0.12\n")
    with pytest.raises(pulumi.RunError, match=r"10\.0\.0\.12 took no SSH logins within 60 s .* docker rm lab-ready"):
        _all_ready("lab-ready", 124, "10.0.0.11\n10.0.0.12\n")
