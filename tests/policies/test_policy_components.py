"""What this project's own components write breaks no rule, and one changed line of it does."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
import yaml

from components.cache_service import CacheService, CacheServiceArgs, CacheServiceSettings
from components.host import BastionArgs, Host, HostArgs
from components.settings import load
from tests.integration.support import ROOT
from tests.policies.support import HOST_KEY, ROLE, validate

PASSWORD = "C4che-passw0rd"
PRIVATE_KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END OPENSSH PRIVATE KEY-----\n"
)
CONNECTIONS = {
    "host": "app1",
    "script": "/opt/configureCacheService.sh",
    "url": "https://connections.example.com",
    "user": "admin",
    "password": "Adm1n-passw0rd",
}
SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d"
HOSTS = ("app1", "app2", "lb1", "worker1", "worker2")


def revealed(value: Any) -> Any:
    """Take secrets out of their envelopes, as the policy SDK does."""
    if isinstance(value, dict):
        return (
            revealed(value["value"])
            if SECRET_SIGNATURE in value
            else {key: revealed(each) for key, each in value.items()}
        )
    return [revealed(each) for each in value] if isinstance(value, list) else value


class Recorder(pulumi.runtime.Mocks):
    """Takes down every resource that is registered."""

    def __init__(self) -> None:
        self.resources: list[tuple[str, str, dict[str, Any]]] = []

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.resources.append((args.typ, args.name, revealed(dict(args.inputs))))
        keys = {"privateKeyOpenssh": PRIVATE_KEY, "publicKeyOpenssh": f"{HOST_KEY}\n"}
        return f"{args.name}-id", {**args.inputs, **(keys if args.typ.startswith("tls:") else {})}

    def call(self, _: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], None]:
        return {}, None


@pytest.fixture(scope="module")
def resources() -> list[tuple[str, str, dict[str, Any]]]:
    """The dev stack's cache service on hosts with everything that a host may have."""
    recorder = Recorder()
    pulumi.runtime.set_mocks(recorder)
    config = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())["config"]

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def build() -> pulumi.Output[str]:
        hosts = {name: Host(name, arguments(number)) for number, name in enumerate(HOSTS, start=1)}
        data = {**config["sealed-data-tier:cacheService"], "connections": CONNECTIONS, "firewall": {}}
        settings = load(CacheServiceSettings, data, "cacheService")
        args = CacheServiceArgs(settings=settings, hosts=hosts, password=pulumi.Output.secret(PASSWORD))
        return CacheService("cache-service", args).urn

    build()
    return recorder.resources


def arguments(number: int) -> HostArgs:
    key = pulumi.Output.secret(f"key-of-host-{number}-0A")
    bastion = BastionArgs(address="192.0.2.250", user="hop", host_key=HOST_KEY, private_key=key)
    return HostArgs(
        address=f"192.0.2.{number}",
        user="ops",
        host_key=HOST_KEY,
        private_key=key,
        sudo_password=pulumi.Output.secret("Sud0-passw0rd"),
        bastion=bastion,
    )


def test_everything_that_the_cache_service_registers(resources: list[tuple[str, str, dict[str, Any]]]) -> None:
    said = {name: outcome for kind, name, inputs in resources if (outcome := validate(kind, inputs)).violations}
    assert said == {}
    assert {kind for kind, _, _ in resources} >= {ROLE, "command:remote:Command", "command:local:Command"}


def test_nothing_of_it_escapes_the_rules(resources: list[tuple[str, str, dict[str, Any]]]) -> None:
    notes = {name: notes for kind, name, inputs in resources if (notes := validate(kind, inputs).notes)}
    assert notes == {}


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("bind 127.0.0.1:30379", "bind :30379", "haproxy-bind"),
        ("LocalForward 127.0.0.1:", "LocalForward 0.0.0.0:", "tunnel-bind"),
        ("StrictHostKeyChecking yes", "StrictHostKeyChecking no", "tunnel-client"),
        ("ForceCommand /usr/sbin/nologin", "", "tunnel-server"),
        ("restrict,port-forwarding", "port-forwarding", "tunnel-key"),
        ("LoadCredential=", "Environment=", "tunnel-unit"),
        ("${CACHE_SERVICE_PASSWORD}", PASSWORD, "secret-in-file"),
    ],
)
def test_one_changed_line(resources: list[tuple[str, str, dict[str, Any]]], old: str, new: str, rule: str) -> None:
    changed = 0
    for kind, _, inputs in resources:
        if kind != ROLE:
            continue
        files = {path: text.replace(old, new) for path, text in inputs.get("files", {}).items()}
        if files != inputs.get("files"):
            changed += 1
            outcome = validate(kind, {**inputs, "files": files})
            assert outcome.rules == {rule}
            assert PASSWORD not in str(outcome)
    assert changed
