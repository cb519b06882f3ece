"""Kubernetes: what objects show, and what their servers are started with."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import pytest

from tests.policies.pods import OPEN, SEALED, asked, workload
from tests.policies.support import UNKNOWN


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
        # Whom the file lets in is not known here.
        ({"args": ["/etc/redis.conf", "--port 6379"]}, {"redis-bind", "redis-port"}),
        ({"args": ["/etc/redis.conf", "--port 0", "--tls-port 6379", "--tls-auth-clients optional"]}, {"redis-bind"}),
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


RUN: Final = "/opt/bitnami/scripts/redis/run.sh"
TLS: Final = [{"name": "REDIS_TLS_ENABLED", "value": "yes"}]


def started(command: list[str], args: list[str] | None = None, image: str = "app:1", **more: Any) -> set[str]:
    """What is said of a container whose image tells nothing, unless one is given."""
    return of_workload(command=command, args=args or [], image=image, **more)


@pytest.mark.parametrize("flags", [["-c"], ["-ec"], ["-xc"], ["-lc"], ["-euo", "pipefail", "-c"], ["--norc", "-c"]])
@pytest.mark.parametrize("before", [["sh"], ["/bin/bash"], ["tini", "--", "dash"], ["/usr/bin/env", "bash"]])
def test_servers_in_scripts(before: list[str], flags: list[str]) -> None:
    assert started([*before, *flags, "exec redis-server --port 6379"]) == OPEN
    assert started([*before, *flags], ["exec redis-server --port 6379"]) == OPEN
    assert started([*before, *flags, f"exec redis-server {' '.join(SEALED)}"]) == set()


@pytest.mark.parametrize(
    ("script", "rules"),
    [
        # What follows an operator is no value of an option.
        ("redis-server --port 6379 && sleep 1", OPEN),
        ("redis-server --port 0;redis-server --port 6379", OPEN),
        ("cat /x|redis-server --port 6379|cat", OPEN),
        ("(redis-server --port 6379)&", OPEN),
        ("set -e\nredis-server \\\n  --port 6379 2>&1 >/dev/null # --port 0", OPEN),
        ("if true; then exec redis-server --port 6379; fi", OPEN),
        ("bash -ec 'exec redis-server --port 6379'", OPEN),
        ("su redis -c 'redis-server --port 6379'", OPEN),
        ("redis-server --bind 127.0.0.1 --port 6379 && true", set()),
        ("redis-server --bind 127.0.0.1 >/dev/null --port 6379", set()),
        ("redis-server --port 6379 --bind '127.0.0.1' & wait", set()),
        ("A=1 numactl --interleave=all redis-server --port 6379", OPEN),
        ("exec setpriv --clear-groups redis-server --port 6379", OPEN),
        ("timeout 9 nice -n 5 redis-server --port 6379", OPEN),
        ("my-own --wrapper -- redis-server --port 6379", OPEN),
        # Others speak of a server, and start none.
        ("until redis-cli -h redis-server ping; do sleep 1; done", set()),
        ("apk add redis-server; echo redis-server", set()),
        ("app --cache redis-server", set()),
        ("nc -z redis-server 6379 # redis-server", set()),
        ("echo 'redis-server --port 6379'", set()),
    ],
)
def test_scripts(script: str, rules: set[str]) -> None:
    assert started(["sh", "-c", script]) == rules


def test_parameters_of_a_script() -> None:
    assert started(["sh", "-c", 'exec redis-server "$@"', "x"], ["--port", "6379"]) == OPEN
    assert started(["sh", "-c", 'exec redis-server "$@"', "x"], list(SEALED)) == set()
    assert started(["sh", "-c", 'exec "$0" --port ${1}', "redis-server"], ["6379"]) == OPEN


def test_every_server_of_a_container() -> None:
    sealed = f"redis-server {' '.join(SEALED)}"
    inputs = workload(command=["sh", "-c", f"{sealed} & redis-server --port 6380"], args=[])
    outcome = asked("apps/v1:StatefulSet", inputs)
    assert outcome.rules == OPEN
    assert "containers/redis/redis1.conf:1: `port 6380`" in str(outcome.violations)
    assert started(["sh", "-c", f"{sealed} & {sealed}"]) == set()


@pytest.mark.parametrize(
    ("command", "args", "rules"),
    [
        (["redis-sentinel"], ["--bind", "*"], OPEN),
        (["redis-server"], ["--sentinel"], OPEN),
        (
            ["redis-server"],
            ["--port", "0", "--tls-port", "26379", "--sentinel", "monitor", "a", "b", "1", "2"],
            {"redis-bus"},
        ),
        (["redis-server", "--sentinel"], ["--port", "0", "--tls-port", "26379", "--tls-replication", "yes"], set()),
    ],
)
def test_sentinels(command: list[str], args: list[str], rules: set[str]) -> None:
    assert started(command, args) == rules


@pytest.mark.parametrize(
    ("image", "command", "rules"),
    [
        ("redis/redis-stack-server:7", [], OPEN),
        ("redis/redis-stack-server:7", ["/entrypoint.sh"], OPEN),
        ("localhost:5000/valkey/valkey-bundle", [], OPEN),
        ("bitnami/redis", ["/opt/bitnami/scripts/redis/entrypoint.sh", RUN], OPEN),
        ("app:1", [RUN], OPEN),
        ("app:1", ["bash", "-c", "/opt/bitnami/scripts/redis-sentinel/run.sh"], OPEN),
        ("bitnami/valkey", ["/bin/bash", "-c", "/opt/bitnami/scripts/start-scripts/start-primary.sh"], OPEN),
        ("app:1", [RUN, *SEALED], set()),
        ("redis:8", ["redis-cli", "ping"], set()),
        ("redisinsight:2", [], set()),
    ],
)
def test_images_and_their_scripts(image: str, command: list[str], rules: set[str]) -> None:
    assert started(command, image=image) == rules


def test_what_variables_say_to_bitnamis_scripts() -> None:
    apart = [*TLS, {"name": "REDIS_TLS_PORT_NUMBER", "value": "6380"}]
    assert started([RUN], env=TLS) == set()
    assert started([], image="bitnami/redis:8", env=TLS) == set()
    assert started([RUN], env=[*TLS, {"name": "REDIS_TLS_AUTH_CLIENTS", "value": "no"}]) > {"redis-default-user"}
    assert started([RUN], env=apart) > OPEN
    assert started([], image="redis:8", env=TLS) == OPEN, "it takes none of them"


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


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_configuration_in_binary_data() -> None:
    outcome = asked("core/v1:ConfigMap", {"binaryData": {"redis.conf": encoded("port 6379\n"), "logo": "//79"}})
    assert outcome.rules == OPEN


URL: Final = "redis://cache:6379"


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("apps/v1:StatefulSet", workload(env=[{"name": "URL", "value": URL}])),
        ("apps/v1:StatefulSet", workload(image="app", command=["app"], args=[f"--redis={URL}"])),
        ("apps/v1:StatefulSet", workload(image="app", command=["sh", "-c", f"exec app {URL}"], args=[])),
        ("batch/v1:CronJob", {"spec": {"jobTemplate": {"spec": workload(image="app", command=["app", URL])["spec"]}}}),
        ("core/v1:ConfigMap", {"data": {"application.yml": f"redis: {URL}\n"}}),
        ("core/v1:ConfigMap", {"binaryData": {"application.yml": encoded(URL)}}),
        ("core/v1:Secret", {"stringData": {"url": URL}}),
        ("core/v1:Secret", {"data": {"url": encoded(URL)}}),
        ("argoproj.io/v1alpha1:Application", {"spec": {"sources": [{"helm": {"values": f"url: {URL}"}}]}}),
        ("keda.sh/v1alpha1:ScaledObjectPatch", {"spec": {"triggers": [{"metadata": {"address": URL}}]}}),
    ],
)
def test_addresses_in_plaintext(kind: str, inputs: dict[str, Any]) -> None:
    assert asked(kind, inputs).rules >= {"plaintext-url"}
    text = json.dumps(inputs).replace(URL, "rediss://cache:6379").replace(encoded(URL), encoded("rediss://cache"))
    assert "plaintext-url" not in asked(kind, json.loads(text)).rules


@pytest.mark.parametrize(
    ("url", "is_plain"),
    [
        ("redis://localhost.example.com", True),
        ("redis://localhost@example.com", True),
        ("redis://127.0.0.10:6379", True),
        ("REDIS://cache", True),
        ("valkey://cache", True),
        ("redis-sentinel://cache:26379/0#primary", True),
        ("redis+sentinel://cache", True),
        ("redis://localhost:6379", False),
        ("redis://:$(PASSWORD)@127.0.0.1:6379/0", False),
        ("redis://[::1]:6379", False),
        ("redis://localhost", False),
        ("rediss://cache", False),
    ],
)
def test_which_addresses_leave_the_pod(url: str, is_plain: bool) -> None:
    assert asked("example.com/v1:Application", {"spec": {"url": url}}).rules == (
        {"plaintext-url"} if is_plain else set()
    )


def test_descriptions_of_what_others_write_are_no_addresses() -> None:
    assert asked("apiextensions.k8s.io/v1:CustomResourceDefinition", {"spec": {"description": URL}}).rules == set()


@pytest.mark.parametrize("path", ["spec.type", "spec.ports[0].port", "metadata.name"])
def test_what_is_not_known_at_any_depth_is_told(path: str) -> None:
    inputs: dict[str, Any] = {"metadata": {"name": "a"}, "spec": {"type": "ClusterIP", "ports": [{"port": 1}]}}
    place: Any = inputs
    *way, last = path.replace("[0]", ".0").split(".")
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[last] = UNKNOWN
    assert asked("core/v1:Service", inputs).notes == [f"thing: not yet checkable: {path}: checked as soon as known."]
    inputs = {"metadata": {"annotations": {"digest": UNKNOWN}}}
    assert asked("core/v1:Service", inputs).notes == []
