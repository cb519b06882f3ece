"""The kubernetes plugin, official or the stand-in, with the real engine on the lab's cluster."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import node_image
from tests.integration.cluster.stack import Cluster
from tests.integration.support import Outcome, Project, wait_for

pytestmark = pytest.mark.engine

PASSWORD = "correct-horse-battery"
LABELS = {"app": "it"}


class Objects:
    """A project whose objects are in a namespace of its own."""

    def __init__(self, directory: Path, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.directory = directory
        program = (Path(__file__).parent / "objects.py").read_text()
        config = {"kubeconfig": cluster.project.outputs()["kubeconfig"], "password": PASSWORD}
        self.project = Project.create(directory, program, config)

    def declare(self, objects: dict[str, Any], **provider: Any) -> None:
        given = {"objects": objects, "provider": {"namespace": self.namespace, **provider}}
        (self.directory / "resources.json").write_text(json.dumps(given))

    def up(self, objects: dict[str, Any], *, check: bool = True, **provider: Any) -> Outcome:
        self.declare(objects, **provider)
        return self.project.up(check=check)

    def names(self) -> dict[str, str]:
        return dict(self.project.outputs()["names"])

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return dict(json.loads(self.cluster.kubectl("-n", self.namespace, "get", kind, name, "--output=json")))

    def exists(self, kind: str, name: str) -> bool:
        return bool(self.cluster.kubectl("-n", self.namespace, "get", kind, name, "--ignore-not-found"))


@pytest.fixture
def objects(cluster: Cluster, tmp_path: Path) -> Iterator[Objects]:
    with cluster.namespace("plugin") as namespace:
        made = Objects(tmp_path, cluster, namespace)
        yield made
        made.project.destroy()


def pods(*command: str, **more: Any) -> dict[str, Any]:
    container = {"name": "it", "image": node_image.pod_image("valkey"), "command": list(command)}
    return {
        "metadata": {"labels": LABELS},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **more},
    }


def workload(kind: str, **more: Any) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": LABELS}, "template": pods("sleep", "infinity"), **more}
    return {"type": f"apps/v1/{kind}", "spec": spec}


def claim(of: str, *modes: str, **metadata: Any) -> dict[str, Any]:
    """A claim of a storage class."""
    spec = {"storageClassName": of, "accessModes": list(modes), "resources": {"requests": {"storage": "1Mi"}}}
    return {"type": "core/v1/PersistentVolumeClaim", "spec": spec, **({"metadata": metadata} if metadata else {})}


LATER = "later"
"""A storage class whose volumes are made for the first pod that asks for one; nobody makes any here."""


@pytest.fixture
def later(cluster: Cluster) -> Iterator[None]:
    mode = {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}
    cluster.apply({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": LATER}, **mode})
    yield
    cluster.kubectl("delete", "storageclass", LATER)


CRD = "gadgets.lab.example.com"
EVERYTHING: dict[str, Any] = {
    "space": {"type": "core/v1/Namespace"},
    "secret": {"type": "core/v1/Secret", "password": "string_data"},
    "config": {"type": "core/v1/ConfigMap", "data": {"a": "1"}},
    "account": {"type": "core/v1/ServiceAccount"},
    "role": {"type": "rbac/v1/Role", "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
    "binding": {
        "type": "rbac/v1/RoleBinding",
        "role_ref": {"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": "role"},
        "subjects": [{"kind": "ServiceAccount", "name": "default"}],
    },
    "policy": {"type": "networking/v1/NetworkPolicy", "spec": {"podSelector": {"matchLabels": {"app": "none"}}}},
    "budget": {
        "type": "policy/v1/PodDisruptionBudget",
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "none"}}},
    },
    "service": {"type": "core/v1/Service", "spec": {"selector": LABELS, "ports": [{"port": 80}]}},
    "claim": claim(LATER, "ReadWriteOnce"),
    "deployment": workload("Deployment", replicas=1),
    "set": workload("StatefulSet", serviceName="set"),
    "job": {"type": "batch/v1/Job", "spec": {"template": pods("true", restartPolicy="Never")}},
    "pod": {"type": "core/v1/Pod", **pods("sleep", "infinity")},
    "definition": {
        "type": "apiextensions/v1/CustomResourceDefinition",
        "metadata": {"name": CRD},
        "spec": {
            "group": "lab.example.com",
            "scope": "Namespaced",
            "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    },
                }
            ],
        },
    },
    "gadget": {
        "type": "CustomResource",
        "api_version": "lab.example.com/v1",
        "kind": "Gadget",
        "spec": {"of": {"any": ["kind", 1]}},
        "after": ["definition"],
    },
}


@pytest.mark.usefixtures("later")
def test_every_kind_is_created_is_ready_stays_and_goes(objects: Objects) -> None:
    objects.declare(EVERYTHING)
    preview = objects.project.pulumi("preview", "--diff").text
    assert PASSWORD not in preview
    up = objects.project.up()
    names = objects.names()
    assert all(name.startswith(f"{resource}-") for resource, name in names.items() if resource != "definition")
    assert objects.get("gadget", names["gadget"])["spec"] == {"of": {"any": ["kind", 1]}}
    assert objects.get("deployment", names["deployment"])["status"]["availableReplicas"] == 1
    assert objects.get("job", names["job"])["status"]["succeeded"] == 1
    data = objects.get("secret", names["secret"])["data"]
    assert base64.b64decode(data["password"]).decode() == PASSWORD
    state = objects.project.pulumi("stack", "export").text
    for text in (PASSWORD, data["password"]):
        assert text not in up.text
        assert text not in state
    assert objects.project.up().unchanged
    assert objects.project.pulumi("refresh", "--yes", "--skip-preview").unchanged
    objects.project.destroy()
    kinds = {"secret": "secret", "configmap": "config", "persistentvolumeclaim": "claim", "deployment": "deployment"}
    for kind, name in {**kinds, "statefulset": "set", "job": "job", "role": "role", "networkpolicy": "policy"}.items():
        assert not objects.exists(kind, names[name])
    assert not objects.cluster.kubectl("get", "crd", CRD, "--ignore-not-found")


def test_a_preview_needs_no_cluster(objects: Objects) -> None:
    elsewhere = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "gone", "cluster": {"server": "https://192.0.2.1:6443"}}],
        "contexts": [{"name": "gone", "context": {"cluster": "gone", "user": "gone"}}],
        "users": [{"name": "gone", "user": {}}],
        "current-context": "gone",
    }
    objects.project.configure({"kubeconfig": json.dumps(elsewhere), "password": PASSWORD})
    objects.declare(EVERYTHING)
    assert "18 to create" in objects.project.pulumi("preview").text


def config_map(data: dict[str, str], **metadata: Any) -> dict[str, Any]:
    return {"config": {"type": "core/v1/ConfigMap", "data": data, **({"metadata": metadata} if metadata else {})}}


def test_a_change_in_place_removes_what_is_left_out(objects: Objects) -> None:
    objects.up(config_map({"a": "1"}, name="it", labels={"one": "1", "two": "2"}))
    before = objects.get("configmap", "it")["metadata"]["uid"]
    up = objects.up(config_map({"a": "1"}, name="it", labels={"one": "changed"}))
    assert "1 updated" in up.text
    after = objects.get("configmap", "it")["metadata"]
    assert (after["uid"], after["labels"]) == (before, {"one": "changed"})


def test_what_cannot_change_is_replaced(objects: Objects) -> None:
    objects.up(config_map({"a": "1"}))
    first = objects.names()["config"]
    assert "1 replaced" in objects.up(config_map({"a": "2"})).text
    second = objects.names()["config"]
    assert first != second
    assert not objects.exists("configmap", first)
    assert objects.get("configmap", second)["data"] == {"a": "2"}
    # of a fixed name, there is never a second one
    objects.up(config_map({"a": "1"}, name="fixed"))
    uid = objects.get("configmap", "fixed")["metadata"]["uid"]
    assert "1 replaced" in objects.up(config_map({"a": "2"}, name="fixed")).text
    assert objects.get("configmap", "fixed")["metadata"]["uid"] != uid
    # unless it is told to be mutable
    uid = objects.get("configmap", "fixed")["metadata"]["uid"]
    objects.up(config_map({"b": "3"}, name="fixed"), enable_config_map_mutable=True)
    changed = objects.get("configmap", "fixed")
    assert (changed["metadata"]["uid"], changed["data"]) == (uid, {"b": "3"})


@pytest.mark.usefixtures("later")
def test_what_the_api_server_never_changes_is_replaced(objects: Objects) -> None:
    def declared(role: str, mode: str, address: str, value: str) -> dict[str, Any]:
        named = {"metadata": {"name": "it"}}
        ref = {"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role}
        spec = {"clusterIP": address, "selector": {"app": "none"}, "ports": [{"port": 80}]}
        return {
            "binding": {"type": "rbac/v1/RoleBinding", "role_ref": ref, **named},
            "claim": claim(LATER, mode, name="it"),
            "service": {"type": "core/v1/Service", "spec": spec, **named},
            "config": {"type": "core/v1/ConfigMap", "data": {"a": value}, "immutable": True, **named},
        }

    def made() -> dict[str, dict[str, Any]]:
        kinds = ("rolebinding", "persistentvolumeclaim", "service", "configmap")
        return {kind: objects.get(kind, "it") for kind in kinds}

    objects.up(declared("one", "ReadWriteOnce", "None", "1"), enable_config_map_mutable=True)
    before = made()
    up = objects.up(declared("two", "ReadWriteMany", "10.96.44.44", "2"), enable_config_map_mutable=True)
    assert "4 replaced" in up.text
    after = made()
    assert [kind for kind, it in after.items() if it["metadata"]["uid"] == before[kind]["metadata"]["uid"]] == []
    assert after["rolebinding"]["roleRef"]["name"] == "two"
    assert after["persistentvolumeclaim"]["spec"]["accessModes"] == ["ReadWriteMany"]
    assert after["service"]["spec"]["clusterIP"] == "10.96.44.44"
    assert after["configmap"]["data"] == {"a": "2"}


def test_a_mutable_secret_loses_keys_that_are_left_out(objects: Objects) -> None:
    secret = {"type": "core/v1/Secret", "metadata": {"name": "it"}, "string_data": {"a": "1", "b": "2"}}
    objects.up({"secret": secret}, enable_secret_mutable=True)
    uid = objects.get("secret", "it")["metadata"]["uid"]
    objects.up({"secret": {**secret, "string_data": {"a": "3"}}}, enable_secret_mutable=True)
    now = objects.get("secret", "it")
    assert (now["metadata"]["uid"], now["data"]) == (uid, {"a": base64.b64encode(b"3").decode()})


def test_a_selector_replaces_its_workload(objects: Objects) -> None:
    named = {"metadata": {"name": "it"}}
    objects.up({"set": {**workload("StatefulSet", serviceName="it"), **named}})
    other = workload("StatefulSet", serviceName="it")
    other["spec"]["selector"]["matchLabels"] = {"app": "other"}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    assert "1 replaced" in objects.up({"set": {**other, **named}}).text
    assert objects.get("statefulset", "it")["spec"]["selector"]["matchLabels"] == {"app": "other"}


def test_what_somebody_changed_is_seen_and_taken_over_only_when_told_so(objects: Objects) -> None:
    def deployment(**annotations: str) -> dict[str, Any]:
        metadata = {"name": "it", "annotations": annotations}
        return {"deployment": {**workload("Deployment", replicas=1), "metadata": metadata}}

    objects.up(deployment())
    somebody = '{"spec": {"replicas": 0}}'
    objects.cluster.kubectl("-n", objects.namespace, "patch", "deployment", "it", f"--patch={somebody}")
    assert "1 updated" in objects.project.pulumi("refresh", "--yes", "--skip-preview").text
    refused = objects.up(deployment(), check=False).text
    assert 'conflict with "kubectl-patch"' in refused
    assert ".spec.replicas" in refused
    assert 'pulumi.com/patchForce: "true"' in refused
    objects.up(deployment(**{"pulumi.com/patchForce": "true"}))
    assert objects.get("deployment", "it")["spec"]["replicas"] == 1
    objects.cluster.kubectl("-n", objects.namespace, "delete", "deployment", "it")
    assert "1 deleted" in objects.project.pulumi("refresh", "--yes", "--skip-preview").text


def test_what_exists_is_imported(objects: Objects) -> None:
    objects.cluster.kubectl("-n", objects.namespace, "create", "configmap", "old", "--from-literal=a=1")
    given = config_map({"a": "1"}, name="old", namespace=objects.namespace)
    given["config"]["import"] = f"{objects.namespace}/old"
    assert "1 imported" in objects.up(given).text
    del given["config"]["import"]
    assert objects.up(given).unchanged


def test_a_secret_that_kubectl_made_is_imported_without_its_copy(objects: Objects) -> None:
    encoded = base64.b64encode(PASSWORD.encode()).decode()
    named = {"name": "old", "namespace": objects.namespace}
    old = {"apiVersion": "v1", "kind": "Secret", "metadata": named, "stringData": {"a": PASSWORD}}
    objects.cluster.apply(old)
    annotations = objects.get("secret", "old")["metadata"]["annotations"]
    assert PASSWORD in annotations["kubectl.kubernetes.io/last-applied-configuration"]
    data = {"data": {"a": encoded}, "type_of_secret": "Opaque"}
    given: dict[str, Any] = {"type": "core/v1/Secret", "metadata": named, **data}
    assert "1 imported" in objects.up({"secret": {**given, "import": f"{objects.namespace}/old"}}).text
    assert objects.up({"secret": given}).unchanged
    assert objects.project.pulumi("refresh", "--yes", "--skip-preview").unchanged
    state = objects.project.pulumi("stack", "export").text
    assert not [text for text in (PASSWORD, encoded) if text in state]


def test_patches_set_their_fields_and_give_them_up(objects: Objects) -> None:
    def patch(name: str, **spec: Any) -> dict[str, Any]:
        named = {"api_version": "lab.example.com/v1", "kind": "Gadget", "metadata": {"name": name}}
        return {"type": "CustomResourcePatch", **named, "spec": spec}

    def spec() -> Any:
        return objects.get("gadget", "it")["spec"]

    definition = EVERYTHING["definition"]
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    objects.cluster.apply({**kind, "metadata": definition["metadata"], "spec": definition["spec"]})
    try:
        objects.cluster.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=30s")
        theirs = {"theirs": {"one": 1}}
        gadget = {"apiVersion": "lab.example.com/v1", "kind": "Gadget", "spec": theirs}
        objects.cluster.apply({**gadget, "metadata": {"name": "it", "namespace": objects.namespace}})
        both = {"ours": patch("it", ours={"a": 1, "b": 2}), "beside": patch("it", theirs={"two": 2})}
        objects.up(both)
        assert spec() == {"theirs": {"one": 1, "two": 2}, "ours": {"a": 1, "b": 2}}
        assert objects.up(both).unchanged
        assert objects.project.pulumi("refresh", "--yes", "--skip-preview").unchanged
        objects.up({"ours": patch("it", ours={"a": 3})})
        assert spec() == {"theirs": {"one": 1}, "ours": {"a": 3}}
        refused = objects.up({"ours": patch("it", theirs={"one": 2})}, check=False).text
        assert ".spec.theirs.one" in refused
        objects.project.destroy()
        assert spec() == theirs
        missing = f"there is no Gadget {objects.namespace}/other to patch: make it first, or make it here"
        assert missing in objects.up({"ours": patch("other", ours=1)}, check=False).text
        assert not objects.exists("gadget", "other")
    finally:
        objects.project.destroy()
        objects.cluster.kubectl("delete", "crd", CRD)


def test_a_rollout_that_is_late_has_failed_and_can_be_taken_back(objects: Objects) -> None:
    def declared(image: str, *command: str, **spec: Any) -> dict[str, Any]:
        made = workload("Deployment", replicas=1, **spec)
        container = made["spec"]["template"]["spec"]["containers"][0]
        container |= {"image": node_image.pod_image(image), "imagePullPolicy": "Never", "command": command}
        return {"it": {**made, "metadata": {"name": "it"}}}

    objects.up(declared("valkey", "sleep", "infinity"))
    late, soon = "ProgressDeadlineExceeded", {"progressDeadlineSeconds": 30}
    done = objects.up(declared("nothing", "sleep", "infinity", **soon), check=False)
    assert late in done.text
    assert "container it is ErrImageNeverPull" in done.text
    # It would be available for the moment that it runs.
    fails = ("sh", "-c", "echo no such file >/dev/termination-log; exit 3")
    done = objects.up(declared("valkey", *fails, **soon, minReadySeconds=10), check=False)
    assert late in done.text
    assert "ended with exit code 3 (Error): no such file" in done.text
    objects.up(declared("valkey", "sleep", "infinity"))
    assert objects.get("deployment", "it")["status"]["availableReplicas"] == 1


def test_a_service_waits_for_its_endpoints(objects: Objects) -> None:
    unready = workload("Deployment", replicas=1)
    unready["metadata"] = {"annotations": {"pulumi.com/skipAwait": "true"}}
    unready["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = {"exec": {"command": ["false"]}}
    objects.up({"unready": unready})
    wait_for(lambda: "Running" in objects.cluster.kubectl("-n", objects.namespace, "get", "pods"))
    spec = {"selector": LABELS, "ports": [{"port": 80}]}
    service = {"type": "core/v1/Service", "spec": spec, "timeout": "15s"}
    others = {
        "headless": {**service, "spec": {**spec, "clusterIP": "None"}},
        "named": {**service, "spec": {"type": "ExternalName", "externalName": "db.example.com"}},
        "free": {**service, "spec": {"ports": [{"port": 80}]}},
    }
    objects.up({"unready": unready, **others})
    done = objects.up({"unready": unready, **others, "service": service}, check=False)
    assert "not ready within 15s: 1 of 1 endpoints not ready" in done.text
    assert "container it runs and is not ready" in done.text


def test_a_claim_waits_for_its_volume(objects: Objects) -> None:
    spec = {"capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "by-hand"}
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "plugin"}}
    objects.cluster.apply({**volume, "spec": {**spec, "hostPath": {"path": "/tmp"}}})
    try:
        objects.up({"claim": claim("by-hand", "ReadWriteOnce", name="it")})
        assert objects.get("persistentvolumeclaim", "it")["status"]["phase"] == "Bound"
        lacking = {"claim": {**claim("of-nobody", "ReadWriteOnce"), "timeout": "2s"}}
        done = objects.up(lacking, check=False).text
        assert 'it is Pending, not Bound: there is no PersistentVolume for it, and storage class "of-nobody"' in done
    finally:
        objects.project.destroy()
        objects.cluster.kubectl("delete", "persistentvolume", "plugin")


def test_failures_say_what_and_why(objects: Objects) -> None:
    failing = {"type": "batch/v1/Job", "spec": {"backoffLimit": 0, "template": pods("false", restartPolicy="Never")}}
    assert "the job failed" in objects.up({"job": failing}, check=False).text
    objects.project.destroy()
    never = workload("Deployment", replicas=1)
    never["spec"]["template"]["spec"]["nodeSelector"] = {"there": "is-none"}
    done = objects.up({"never": {**never, "timeout": "10s"}}, check=False)
    assert "not ready within 10s: 0 of 1 availableReplicas" in done.text
    assert "Unschedulable: 0/2 nodes are available" in done.text
    never["metadata"] = {"annotations": {"pulumi.com/skipAwait": "true"}}
    objects.up({"never": never})
    objects.project.destroy()
    wrong = {"type": "core/v1/Secret", "metadata": {"name": "It"}, "password": "data"}
    done = objects.up({"wrong": wrong}, check=False)
    assert "wrong: the API server refused it" in done.text
    assert PASSWORD not in done.text


def test_the_stand_in_refuses_what_it_does_not_do(objects: Objects) -> None:
    patch = {"type": "core/v1/ConfigMapPatch", "metadata": {"name": "it"}, "data": {"a": "1"}}
    assert "kubernetes:core/v1:ConfigMapPatch is not supported" in objects.up({"it": patch}, check=False).text
    done = objects.up(config_map({"a": "1"}, generateName="it-"), check=False)
    assert "metadata.generateName" in done.text
    done = objects.up(config_map({"a": "1"}), check=False, enable_server_side_apply=False)
    assert "enableServerSideApply" in done.text
    objects.declare({})
    wait_for(lambda: objects.project.up(check=False).code == 0)
