"""What is told of clusters: the stack's objects, what is beside them, and pods."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

import pytest

from tests.unit.verification.api_server import kubeconfig
from tests.unit.verification.samples import resource, secret, urn
from verification.cluster import ClusterSession
from verification.connection import Connections
from verification.export import parse
from verification.families import certificates, listeners, members, objects, policies
from verification.families.spinnaker import probe as spinnaker_probe
from verification.family import Outcome, Survey
from verification.model import Endpoint, Pod, PodGroup, Stack
from verification.objects import Objects, Told
from verification.report import Check, Report
from verification.stack import read

REDIS: Final = "sealed-data-tier:redis_tls_cluster:RedisTlsCluster"
SPINNAKER: Final = "sealed-data-tier:spinnaker_redis_mtls:SpinnakerRedisMtls"
PROVIDER: Final = "pulumi:providers:kubernetes"
LABELS: Final = {"app.kubernetes.io/name": "redis", "app.kubernetes.io/instance": "orders"}
SERVERS: Final = {**LABELS, "app.kubernetes.io/component": "server"}
NAMES: Final = ("orders-server-0", "orders-server-1")


def thing(kind: str, name: str, **content: Any) -> dict[str, Any]:
    """An object."""
    return {"kind": kind, "metadata": {"name": name, "namespace": "data", "labels": SERVERS}, **content}


def pod(name: str, ready: str = "True", **labels: str) -> dict[str, Any]:
    """A pod that runs."""
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": ready, "message": "not in sync"}]}
    return {"metadata": {"name": name, "namespace": "data", "labels": {**SERVERS, **labels}}, "status": status}


PODS: Final = thing(
    "StatefulSet",
    "orders-server",
    spec={
        "replicas": 2.0,
        "selector": {"matchLabels": SERVERS},
        "template": {
            "metadata": {"labels": SERVERS},
            "spec": {
                "containers": [
                    {
                        "name": "server",
                        "command": ["/usr/local/lib/redis-tls/pod", "redis-server"],
                        "args": ["/redis.conf", "--port", "0", "--tls-port", "6379", "--tls-auth-clients", "yes"],
                        "ports": [{"containerPort": 6379.0}],
                    },
                    {"name": "follow"},
                ]
            },
        },
    },
)
POLICY: Final = thing(
    "NetworkPolicy",
    "orders-server",
    spec={
        "podSelector": {"matchLabels": SERVERS},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": {"matchLabels": LABELS}}], "ports": [{"port": 6379.0}]}],
    },
)
SECRET: Final = thing("Secret", "orders-server", data={"manager.password": "b2xk"})
TOKENS: Final = {
    "StatefulSet": "kubernetes:apps/v1:StatefulSet",
    "NetworkPolicy": "kubernetes:networking.k8s.io/v1:NetworkPolicy",
    "Secret": "kubernetes:core/v1:Secret",
}


def stack(config: str | None = kubeconfig("https://192.0.2.1"), *more: dict[str, Any], **provider: Any) -> Stack:
    """A stack with a group of two servers in pods, and no host."""
    settings = {"name": "orders", "flavour": "redis", "kubernetes": {"namespace": "data"}}
    served = {"address": "orders-server-0.orders-servers.data.svc.cluster.local", "port": 6379.0}
    rest = {"certificate": "C", "trusted": "T", "renewalDays": 30, "names": ["orders.data"]}
    given = {"kubeconfig": secret(json.dumps(config)), **provider} if config else provider
    resources = [
        resource(REDIS, "orders", inputs={"hosts": [], "settings": settings}, outputs={"served": [{**served, **rest}]}),
        resource(PROVIDER, "orders-kubernetes", parent=urn(REDIS, "orders"), inputs=given),
        *(
            resource(
                TOKENS[each["kind"]],
                f"orders-server-{each['kind']}",
                parent=urn(REDIS, "orders"),
                provider=f"{urn(PROVIDER, 'orders-kubernetes')}::0a1b",
                inputs=each,
                outputs={**each, "status": {"replicas": 2.0}},
            )
            for each in (PODS, POLICY, SECRET)
        ),
        *more,
    ]
    return read(parse(json.dumps({"version": 3, "deployment": {"resources": resources}})))


STACK: Final = stack()
CLUSTER: Final = STACK.clusters["cluster/it"]
WELL: Final = Objects(
    objects={each.urn: each.content for each in CLUSTER.objects},
    pods={Pod("data", name): pod(name) for name in NAMES},
    beside={"NetworkPolicy": (POLICY,), "Service": ()},
    told={Pod("data", name): Told(status=(f"+ {name} is well",), listeners=(Endpoint("::", 6379),)) for name in NAMES},
)


def having(kind: str, *path: str | int, value: Any) -> Objects:
    """The cluster with another value in one object."""
    changed = copy.deepcopy(dict(WELL.objects))
    here: Any = changed[next(each.urn for each in CLUSTER.objects if each.kind == kind)]
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return replace(WELL, objects=changed)


def problems(family: Any, seen: Objects) -> str:
    """What a family says."""
    outcome = family.cluster(STACK, CLUSTER, seen)
    assert outcome.host == "cluster/it"
    return "\n".join(outcome.problems)


def test_a_stack_without_hosts_has_its_cluster() -> None:
    assert not STACK.hosts
    (group,) = CLUSTER.groups
    assert group == PodGroup(
        name="orders",
        namespace="data",
        labels=SERVERS,
        command="/usr/local/lib/redis-tls/node",
        members=dict.fromkeys(NAMES, ("follow", 6379)),
    )
    (served,) = STACK.served
    assert (served.host, served.endpoint.port, served.names) == ("cluster/it", 6379, ("orders.data",))
    assert "b2xk" not in repr(STACK)
    assert "192.0.2.1" not in repr(STACK)


@pytest.mark.parametrize(
    ("config", "provider", "name", "context"),
    [
        (None, {}, "cluster/default", None),
        ("/home/ops/.kube/config", {"context": "production"}, "cluster/production", "production"),
        ("/home/ops/.kube/config", {}, "cluster/default", None),
    ],
)
def test_a_cluster_is_called_by_its_context(
    config: str | None, provider: dict[str, str], name: str, context: str | None
) -> None:
    (cluster,) = stack(config, **provider).clusters.values()
    assert (cluster.name, cluster.kubeconfig, cluster.context) == (name, config, context)


def test_a_cluster_that_is_as_written_is_well() -> None:
    for family in (objects.FAMILY, members.REDIS, listeners.FAMILY, policies.FAMILY):
        assert not problems(family, WELL)
    assert objects.judge(STACK, CLUSTER, WELL) == Outcome(
        host="cluster/it", summary="3 objects as written, 1 of them secret"
    )


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (
            having("StatefulSet", "spec", "replicas", value=1),
            "StatefulSet data/orders-server is not what the stack wrote: spec.replicas is 1, not 2",
        ),
        (
            having("StatefulSet", "spec", "template", "spec", "containers", 0, "args", value=["--port", "6379"]),
            "StatefulSet data/orders-server is not what the stack wrote: spec.template.spec.containers[0].args",
        ),
        (
            having("NetworkPolicy", "spec", "ingress", 0, "from", 0, "podSelector", value={}),
            "NetworkPolicy data/orders-server is not what the stack wrote: "
            "spec.ingress[0].from[0].podSelector.matchLabels",
        ),
        (
            having("NetworkPolicy", "spec", "ingress", value=[{}]),
            "NetworkPolicy data/orders-server is not what the stack wrote: spec.ingress[0].from",
        ),
        (
            having("NetworkPolicy", "spec", "ingress", 0, "from", 0, "namespaceSelector", value={}),
            "NetworkPolicy data/orders-server is not what the stack wrote: spec.ingress[0].from[0].namespaceSelector",
        ),
        (
            having("NetworkPolicy", "metadata", "labels", value={}),
            "NetworkPolicy data/orders-server is not what the stack wrote: metadata.labels.app.kubernetes.io/name",
        ),
        (
            having("Secret", "data", "manager.password", value="bmV3"),
            "Secret data/orders-server is not what the stack wrote: data.manager.password",
        ),
        (
            replace(WELL, objects={}),
            "NetworkPolicy data/orders-server is missing: run `pulumi up --refresh`",
        ),
        (
            replace(WELL, objects={}, failures={CLUSTER.objects[0].urn: "forbidden"}),
            "not done: StatefulSet data/orders-server: forbidden",
        ),
    ],
)
def test_what_is_not_as_written_is_told(seen: Objects, words: str) -> None:
    told = problems(objects.FAMILY, seen)
    assert words in told
    assert "b2xk" not in told
    assert "bmV3" not in told


def beside(kind: str, **spec: Any) -> Mapping[str, Any]:
    """An object that somebody else made."""
    return {"metadata": {"name": "theirs", "namespace": "data"}, "spec": spec, "kind": kind}


@pytest.mark.parametrize(
    ("thing", "told"),
    [
        (beside("NetworkPolicy", podSelector={}, ingress=[{}]), "lets somebody in to orders"),
        (beside("NetworkPolicy", podSelector={"matchLabels": LABELS}, ingress=[{}]), "lets somebody in to orders"),
        (beside("NetworkPolicy", podSelector={"matchExpressions": [{}]}, ingress=[{}]), "lets somebody in to orders"),
        (beside("NetworkPolicy", podSelector={}), ""),
        (beside("NetworkPolicy", podSelector={"matchLabels": {"app": "shop"}}, ingress=[{}]), ""),
        (beside("Service", selector=LABELS), "leads to pods of orders"),
        (beside("Service", selector={"statefulset.kubernetes.io/pod-name": NAMES[0]}), "leads to pods of orders"),
        (beside("Service", selector={"app": "shop"}), ""),
        (beside("Service"), ""),
    ],
)
def test_what_opens_the_group_beside_the_stack_is_told(thing: Mapping[str, Any], told: str) -> None:
    found = problems(objects.FAMILY, replace(WELL, beside={**WELL.beside, str(thing["kind"]): (thing,)}))
    assert found == (f"{thing['kind']} data/theirs was not written by the stack, and {told}" if told else "")


def test_a_pod_with_the_labels_of_the_group_is_told() -> None:
    name = Pod("data", "intruder")
    found = problems(objects.FAMILY, replace(WELL, pods={**WELL.pods, name: pod(name.name)}))
    assert found == "Pod data/intruder was not written by the stack, and is let in by the labels of orders"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pods": {}}, "data/orders-server-0 is missing: orders has 2 pods"),
        (
            {"pods": {**WELL.pods, Pod("data", NAMES[1]): pod(NAMES[1], "False")}},
            "orders-server-1 is not ready: not in",
        ),
        ({"told": {}}, "data/orders-server-0 does not run"),
        (
            {"told": {**WELL.told, Pod("data", NAMES[0]): Told(failure="broke")}},
            "not done: data/orders-server-0: /usr/local/lib/redis-tls/node status: broke",
        ),
        (
            {"told": {**WELL.told, Pod("data", NAMES[0]): Told(status=("+ primary", "- not in sync"))}},
            "data/orders-server-0 not in sync",
        ),
    ],
)
def test_pods_that_are_not_well_are_told(changes: dict[str, Any], words: str) -> None:
    assert words in problems(members.REDIS, replace(WELL, **changes))


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (Told(listeners=(Endpoint("::", 6379), Endpoint("127.0.0.1", 80))), ""),
        (
            Told(listeners=(Endpoint("::", 6379), Endpoint("0.0.0.0", 6380))),
            "data/orders-server-0 has something that listens on tcp 0.0.0.0:6380, beside port 6379",
        ),
        (Told(listeners=()), "data/orders-server-0 has nothing that listens on port 6379"),
        (Told(), "not done: data/orders-server-0: it does not tell what listens in it"),
        (Told(failure="broke"), "not done: data/orders-server-0: broke"),
    ],
)
def test_what_listens_in_pods_is_told(told: Told, words: str) -> None:
    assert problems(listeners.FAMILY, replace(WELL, told={**WELL.told, Pod("data", NAMES[0]): told})) == words


def test_objects_are_held_to_the_policies_as_they_are() -> None:
    policy = next(each.urn for each in CLUSTER.objects if each.kind == "NetworkPolicy")
    without = replace(WELL, objects={urn: each for urn, each in WELL.objects.items() if urn != policy})
    assert "every pod of the cluster may connect" in problems(policies.FAMILY, without)
    plain = having("StatefulSet", "spec", "template", "spec", "containers", 0, "args", value=["--port", "6379"])
    assert problems(policies.FAMILY, plain)


@pytest.mark.parametrize(("dialled", "in_pod"), [("orders.data", True), ("redis.example.com", False)])
def test_redis_of_spinnaker_is_tried_in_its_cluster(dialled: str, in_pod: bool) -> None:
    client = {"certificate": "C", "key": "K", "trusted": "T", "password": ""}
    inputs = {"settings": {"redis": {"host": dialled, "port": 6379}}}
    spinnaker = resource(SPINNAKER, "ci", inputs=inputs, outputs={"client": client})
    known = stack(kubeconfig("https://192.0.2.1"), spinnaker)
    (found,) = known.spinnakers
    assert (found.host, found.endpoint) == ("cluster/it", Endpoint(dialled, 6379))
    assert found.pod == (known.served[0].endpoint if in_pod else None)
    if not in_pod:
        session = cast("ClusterSession", None)
        survey = Survey(
            stack=known, connections=cast("Connections", None), sessions={}, facts={}, clusters={found.host: session}
        )
        (outcome,) = asyncio.run(spinnaker_probe(survey))
        assert outcome.problems[0].startswith("not done: redis.example.com:6379 is none of this stack's")


def test_a_pod_of_which_the_state_tells_no_certificate_is_told() -> None:
    survey = Survey(
        stack=replace(STACK, served=()),
        connections=cast("Connections", None),
        sessions={},
        facts={},
        clusters={CLUSTER.name: cast("ClusterSession", None)},
    )
    (outcome,) = asyncio.run(certificates.probe(survey))
    assert outcome.problems == tuple(
        f"not done: data/{name}: the state does not tell what it serves: run `pulumi up`" for name in NAMES
    )


def test_clusters_are_counted_beside_hosts() -> None:
    checks = (
        Check(name="login", host="app1", ok=True, detail=""),
        Check(name="login", host=CLUSTER.name, ok=False, detail="away"),
    )
    report = Report(checks=checks, seconds=1, clusters=frozenset({CLUSTER.name}))
    assert [str(each) for each in report._parts({"login": "In."})[-1:]] == [
        "open: 1 of 2 checks on 1 host and 1 cluster are well, in 1.0 s"
    ]
