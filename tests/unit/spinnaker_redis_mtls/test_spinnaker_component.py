"""What the engine is told: types, names, order, inputs and secrets."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest

from components.certificates import CertificateAuthority
from components.errors import ConfigurationError
from components.redis_tls_cluster import RedisTlsClusterArgs, RedisTlsSettings
from components.settings import load
from components.spinnaker_redis_mtls import (
    SpinnakerRedisMtls,
    SpinnakerRedisMtlsArgs,
    SpinnakerRedisSettings,
    component,
)
from tests.unit.spinnaker_redis_mtls.test_spinnaker_settings import LEAST
from tests.unit.ssh_tunnel_host.registered import Registered, host, register, revealed

NAME: Final = re.compile(r"spinnaker-redis-mtls-[0-9a-f]{10}")
DEPLOYMENT: Final = "/home/spinnaker/.hal/default"


@pytest.fixture(autouse=True)
def _stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's stand-in makes no certificates that could be read."""
    monkeypatch.setattr(component, "key_store", lambda pem, _, password, *, alias: f"{pem}{password}{alias}".encode())
    monkeypatch.setattr(component, "trust_store", lambda pems: pems[0].encode())


def registered(
    changes: dict[str, Any], *, group: Callable[[], RedisTlsClusterArgs | None] = lambda: None, **more: Any
) -> dict[str, Registered]:
    def program() -> None:
        settings = load(SpinnakerRedisSettings, {**LEAST, **changes}, "spinnaker")
        authority = CertificateAuthority("root")
        hosts = {"ops1": host("ops1")}
        args = SpinnakerRedisMtlsArgs(settings=settings, authority=authority, hosts=hosts, group=group(), **more)
        SpinnakerRedisMtls("ci", args)

    return register(program)


def test_secret_is_immutable_and_named_by_its_content() -> None:
    found = registered({})["ci-stores"]
    assert (found.kind, found.parent) == ("kubernetes:core/v1:Secret", "ci")
    assert found.inputs["immutable"] is True
    assert NAME.fullmatch(found.inputs["metadata"]["name"])
    assert set(revealed(found.inputs["data"])) == {"key-store.p12", "trust-store.p12", "jvm-options"}
    # Somebody may still name the former one, which goes with its owner.
    assert found.retained
    (owner,) = found.inputs["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("ConfigMap", "spinnaker-redis-mtls")
    again, other = registered({})["ci-stores"], registered({}, redis_password="secret")["ci-stores"]
    assert again.inputs["metadata"] == found.inputs["metadata"]
    assert other.inputs["metadata"] != found.inputs["metadata"]


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ({}, "kubernetes:spinnaker.io/v1alpha2:SpinnakerServicePatch"),
        (
            {"patch": False, "apiGroup": "spinnaker.armory.io"},
            "kubernetes:spinnaker.armory.io/v1alpha2:SpinnakerService",
        ),
    ],
)
def test_operators_object(operator: dict[str, Any], kind: str) -> None:
    resources = registered({"operator": operator})
    found = resources["ci-service"]
    assert (found.kind, found.parent) == (kind, "ci")
    (volume,) = found.inputs["spec"]["spinnakerConfig"]["service-settings"]["gate"]["kubernetes"]["volumes"]
    assert volume["id"] == resources["ci-stores"].inputs["metadata"]["name"]
    assert not any(each.kind == "sealed-data-tier:host:Role" for each in resources.values())


def test_halyards_files() -> None:
    data = {"operator": None, "halyard": {"host": "ops1"}, "services": ["gate"]}
    role = registered(data)["ci-halyard"].inputs
    paths = ("service-settings/redis.yml", "service-settings/gate.yml", "profiles/gate-local.yml")
    assert set(role["files"]) == {f"{DEPLOYMENT}/{path}" for path in paths}
    assert NAME.search(role["files"][f"{DEPLOYMENT}/service-settings/gate.yml"])
    assert set(role["modes"].values()) == {"0600 spinnaker:spinnaker"}


def test_options_in_the_environment_are_secret_everywhere() -> None:
    halyard = {"halyard": {"host": "ops1"}, "services": ["gate"]}
    resources = registered({**halyard, "jvmOptions": "environment"})
    assert "keyStorePassword" in str(revealed(resources["ci-service"].inputs["spec"]))
    role = resources["ci-halyard"].inputs
    assert "files" not in role
    assert len(role["secretFiles"]) == 3


def test_host_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"halyard\.host: 'ops2' .* use a host of the stack: ops1"):
        registered({"halyard": {"host": "ops2"}})


def of_group(**changes: Any) -> RedisTlsClusterArgs:
    """Redis as this stack has it."""
    place = {} if "kubernetes" in changes else {"nodes": [{"host": "redis1"}]}
    data = {**place, "users": [{"name": "default"}], "keyspaceEvents": "Egx", **changes}
    return RedisTlsClusterArgs(
        settings=load(RedisTlsSettings, data, "redis"),
        hosts={f"redis{number}": host(f"redis{number}") for number in (1, 2, 3)},
        authority=CertificateAuthority("redis"),
    )


DIALLED: Final = {"redis": {"host": "redis1.example.com", "group": "redis"}}
NAMED: Final = {"nodes": [{"host": "redis1", "address": "192.0.2.11", "names": ["redis1.example.com"]}]}


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ({"keyspaceEvents": ""}, "keyspaceEvents of redis: '' .* add 'Egx'"),
        ({"keyspaceEvents": "A"}, "keyspaceEvents of redis: 'A' .* add 'E'"),
        ({"keyspaceEvents": "Kgx"}, "keyspaceEvents of redis: 'Kgx' .* add 'E'"),
        ({"keyspaceEvents": "E"}, "keyspaceEvents of redis: 'E' .* add 'gx'"),
        ({"users": [{"name": "app"}]}, r"users of redis: \['app'\] .* add a user 'default'"),
        ({"nodes": [{"host": "redis1", "address": "192.0.2.11"}]}, r"redis\.host: 'redis1.example.com' .* nodes\[\]"),
        ({"port": 6390}, r"redis\.port: 6379 cannot be used: group 'redis' speaks TLS on 6390"),
        (
            {"topology": "cluster", "nodes": [{"host": f"redis{number}"} for number in (1, 2, 3)]},
            "topology of redis: 'cluster' .* use standalone or sentinel",
        ),
    ],
)
def test_redis_that_cannot_serve_is_refused(group: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        registered(DIALLED, group=partial(of_group, **NAMED | group))


PODS: Final = {"kubernetes": {"namespace": "cache", "image": "redis:8.0"}}


def test_redis_on_kubernetes_is_dialled_by_its_service() -> None:
    registered({"redis": {"host": "redis.cache.svc", "group": "redis"}}, group=partial(of_group, **PODS))
    with pytest.raises(ConfigurationError, match=r"add it to kubernetes\.exposure\.names, or use .*\.cache\.svc"):
        registered(DIALLED, group=partial(of_group, **PODS))


HOSTS: Final = {"nodes": [{"host": f"redis{number}", "names": ["redis1.example.com"]} for number in (1, 2, 3)]}
EXPOSED: Final = {"exposure": {"type": "LoadBalancer", "names": ["redis1.example.com"]}}


@pytest.mark.parametrize("place", [HOSTS, {"kubernetes": {**PODS["kubernetes"], **EXPOSED}}], ids=["hosts", "pods"])
def test_a_primary_that_moves_is_followed_or_refused(place: dict[str, Any]) -> None:
    group = partial(of_group, **place, topology="sentinel")
    with pytest.raises(
        ConfigurationError, match=r"redis\.host: 'redis1\.example\.com' .* do not ask Sentinel: use stand"
    ):
        registered(DIALLED, group=group)
    balanced = {"redis": {**DIALLED["redis"], "balanced": True, "port": 6380}}
    assert "ci-service" in registered(balanced, group=group)
    other = {"redis": {**balanced["redis"], "host": "balancer.example.com"}}
    with pytest.raises(ConfigurationError, match=r"redis\.host: 'balancer\.example\.com' .* no certificate of group"):
        registered(other, group=group)


@pytest.mark.parametrize("events", ["Egx", "EA", "AKE"])
def test_redis_that_publishes_events_will_do(events: str) -> None:
    assert "ci-service" in registered(DIALLED, group=partial(of_group, **NAMED, keyspaceEvents=events))


def test_without_gate_no_events_are_needed() -> None:
    registered({**DIALLED, "services": ["orca"]}, group=partial(of_group, **NAMED, keyspaceEvents=""))
