"""Kubernetes: what objects open and show, and what their servers are started with."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from pulumi_policy import PolicyResource, StackValidationArgs, StackValidationPolicy
from pulumi_policy.proxy import unknown_checking_proxy

from policies.pack import STACK_NOTES, policies
from tests.policies.support import UNKNOWN, Outcome, options, validate

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "spinnaker"
SPEC: Final = yaml.safe_load((GOLDEN / "operator" / "spec.yml").read_text())
SEALED: Final = ("--tls-port", "6379", "--port", "0", "--tls-auth-clients", "yes", "--tls-replication", "yes")
LABELS: Final = {"app": "redis"}


def workload(**container: Any) -> dict[str, Any]:
    """A StatefulSet with one container that breaks no rule but for what is given."""
    mount = {"name": "certificates", "mountPath": "/certs"}
    server = {"name": "redis", "image": "redis:8", "command": ["redis-server"], "args": list(SEALED)}
    spec = {
        "containers": [{**server, "volumeMounts": [mount], **container}],
        "volumes": [{"name": "certificates", "secret": {"secretName": "certificates"}}],
    }
    metadata = {"name": "redis", "namespace": "data"}
    return {"metadata": metadata, "spec": {"template": {"metadata": {"labels": LABELS}, "spec": spec}}}


def asked(kind: str, inputs: Mapping[str, Any]) -> Outcome:
    return validate(f"kubernetes:{kind}", inputs, name="thing")


def of_workload(**container: Any) -> set[str]:
    return asked("apps/v1:StatefulSet", workload(**container)).rules


def test_a_sealed_server_breaks_no_rule() -> None:
    assert of_workload() == set()


@pytest.mark.parametrize(
    ("container", "rules"),
    [
        ({"args": ["--tls-port", "6379"]}, {"redis-bind", "redis-port", "redis-default-user"}),
        (
            {"args": ["--tls-port", "6379", "--port", "0", "--tls-auth-clients", "no"]},
            {"redis-bind", "redis-default-user"},
        ),
        ({"args": [*SEALED, "--protected-mode", "no"]}, {"redis-protected-mode"}),
        ({"args": [*SEALED, "--port", "6379"]}, {"redis-bind", "redis-port", "redis-default-user"}),
        # As guides have it: an option and its value in one argument, a file, capitals.
        ({"args": ["/etc/redis.conf", "--TLS-port 6379", "--port 0", "--TLS-auth-clients yes"]}, set()),
        ({"args": ["/etc/redis.conf", "--port 6379"]}, {"redis-bind", "redis-port", "redis-default-user"}),
        (
            {"command": ["sh", "-c", "exec redis-server --port 6379 --bind 0.0.0.0"], "args": []},
            {"redis-bind", "redis-port"},
        ),
        ({"command": [], "args": []}, {"redis-bind", "redis-port"}),
        (
            {"command": [], "args": ["--port", "6379"], "image": "registry.example.com/a/valkey@sha256:0"},
            {"redis-bind", "redis-port"},
        ),
        ({"command": [], "args": [], "image": "redis-exporter:1"}, set()),
        ({"command": ["/usr/bin/valkey-server"], "args": ["--port", "6379", "--bind", "127.0.0.1"]}, set()),
        ({"env": [{"name": "URL", "value": "redis://cache:6379"}]}, {"plaintext-url"}),
        ({"env": [{"name": "URL", "value": "redis://localhost:6379"}]}, set()),
        (
            {"env": [{"name": "JAVA_OPTS", "value": "-Xmx1g -Djavax.net.ssl.keyStorePassword=a"}]},
            {"password-in-variable"},
        ),
        ({"env": [{"name": "URL", "value": "rediss://:hunter2@cache:6379"}]}, {"password-in-variable"}),
        ({"env": [{"name": "REDIS_PASSWORD", "value": "hunter2"}]}, {"password-in-variable"}),
        ({"env": [{"name": "REDIS_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]}, set()),
        ({"volumeMounts": [{"name": "certificates", "mountPath": "/etc/ssl/certs/java/"}]}, {"hidden-authorities"}),
        ({"volumeMounts": [{"name": "others", "mountPath": "/etc/ssl/certs/java"}]}, set()),
    ],
)
def test_what_a_pod_is_started_with(container: dict[str, Any], rules: set[str]) -> None:
    assert of_workload(**container) == rules


@pytest.mark.parametrize(
    "kind",
    [
        "v1:Pod",
        "apps/v1:Deployment",
        "apps/v1:DaemonSet",
        "batch/v1:Job",
        "batch/v1:CronJob",
        "apps/v1:StatefulSetPatch",
    ],
)
def test_pods_of_every_kind(kind: str) -> None:
    inputs = workload(args=["--port", "6379"])
    if kind == "v1:Pod":
        inputs = inputs["spec"]["template"]
    if kind == "batch/v1:CronJob":
        inputs = {"spec": {"jobTemplate": {"spec": inputs["spec"]}}}
    outcome = asked(kind, inputs)
    assert "redis-port" in outcome.rules
    assert "containers/redis/redis.conf:1: `port 6379`" in str(outcome.violations)


def test_secrets_are_named_by_no_message() -> None:
    inputs = workload(env=[{"name": "JAVA_OPTS", "value": "-Djavax.net.ssl.keyStorePassword=hunter2"}])
    assert "hunter2" not in str(asked("apps/v1:StatefulSet", inputs).violations)


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
        (("/etc/redis.conf",), "data", LABELS, False),
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


@pytest.mark.parametrize("key", ["data", "stringData"])
def test_configuration_in_a_secret(key: str) -> None:
    texts = {"redis.conf": UNKNOWN, "passwords.conf": "requirepass hunter2"}
    outcome = asked("core/v1:Secret", {key: texts})
    assert outcome.rules == {"hidden-configuration"}
    assert "redis.conf" in str(outcome.violations)
    assert "hunter2" not in str(outcome.violations)


def test_configuration_in_a_config_map() -> None:
    texts = {"redis.conf": "port 6379\n", "application.yml": "redis: redis://cache:6379\n"}
    outcome = asked("core/v1:ConfigMap", {"data": texts})
    assert outcome.rules == {"redis-bind", "redis-port", "plaintext-url"}


def spinnaker(*path: str, value: Any) -> set[str]:
    spec = deepcopy(SPEC)
    here = spec["spinnakerConfig"]
    for step in path[:-1]:
        here = here.setdefault(step, {})
    here[path[-1]] = value
    return asked("spinnaker.io/v1alpha2:SpinnakerServicePatch", {"spec": spec}).rules


def test_what_the_component_writes_breaks_no_rule() -> None:
    assert asked("spinnaker.io/v1alpha2:SpinnakerService", {"spec": SPEC}).rules == set()


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("profiles gate redis baseUrl", "rediss://a:6379", "spinnaker-dead-key"),
        ("profiles gate redis.baseUrl", "rediss://a:6379", "spinnaker-dead-key"),
        ("profiles orca sql enabled", True, "spinnaker-sql"),
        ("profiles orca sql.enabled", True, "spinnaker-sql"),
        ("service-settings clouddriver env JAVA_OPTS", "-Djavax.net.ssl.keyStore=/a", "spinnaker-sql"),
        ("service-settings gate env JAVA_OPTS", "-Djavax.net.ssl.trustStorePassword=a", "password-in-variable"),
        ("service-settings redis overrideBaseUrl", "redis://redis.example.com:6379", "plaintext-url"),
        ("profiles dinghy redis baseUrl", "redis://redis.example.com:6379", "plaintext-url"),
    ],
)
def test_one_changed_key_does(path: str, value: Any, rule: str) -> None:
    assert spinnaker(*path.split(" "), value=value) == {rule}


def test_a_secret_over_the_authorities_of_a_service() -> None:
    volume = {"id": "internal-trust-store", "mountPath": "/etc/ssl/certs/java", "type": "secret"}
    assert spinnaker("service-settings", "gate", "kubernetes", "volumes", value=[volume]) == {"hidden-authorities"}
    assert (
        spinnaker("service-settings", "gate", "kubernetes", "volumes", value=[{**volume, "type": "emptyDir"}]) == set()
    )


# --- a whole stack -----------------------------------------------------------------------------------------------


def whole(*resources: tuple[str, Mapping[str, Any]], config: Mapping[str, Any] | None = None) -> Outcome:
    """Ask the policies that look at the whole stack."""
    outcome = Outcome()
    for policy in policies():
        if not isinstance(policy, StackValidationPolicy):
            continue
        given = [
            PolicyResource(
                f"kubernetes:{kind}",
                unknown_checking_proxy(dict(props)),
                f"urn:pulumi:test::scratch::kubernetes:{kind}::{at}",
                f"{at}",
                options(),
                None,
                None,
                [],
                {},
            )
            for at, (kind, props) in enumerate(resources)
        ]

        def report(message: str, urn: str | None = None, *, of: str = policy.name) -> None:
            assert urn is not None
            if of == STACK_NOTES:
                outcome.notes.append(message)
            else:
                outcome.violations.append((of, message))

        policy.validate(StackValidationArgs(given, (config or {}).get(policy.name)), report)
    return outcome


def rule(namespace: str = "data", **spec: Any) -> tuple[str, dict[str, Any]]:
    selected = {"podSelector": {"matchLabels": LABELS}, "policyTypes": ["Ingress"], **spec}
    return "networking.k8s.io/v1:NetworkPolicy", {"metadata": {"namespace": namespace}, "spec": selected}


SERVER: Final = ("apps/v1:StatefulSet", workload())


@pytest.mark.parametrize(
    ("others", "covered"),
    [
        ([], False),
        ([rule()], True),
        ([rule(podSelector={})], True),
        ([rule(podSelector={"matchExpressions": [{"key": "app", "operator": "Exists"}]})], True),
        ([rule(namespace="default")], False),
        ([rule(podSelector={"matchLabels": {"app": "other"}})], False),
        ([rule(policyTypes=["Egress"])], False),
    ],
)
def test_pods_of_the_data_tier_have_a_network_policy(others: list[Any], covered: bool) -> None:
    outcome = whole(SERVER, *others)
    assert outcome.rules == (set() if covered else {"network-policy"})


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
