"""What the engine is told: types, names, inputs, and that no secret is among them."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
import yaml

from components.errors import ConfigurationError
from components.firewall import Flow
from components.haproxy_load_balancer import HaproxyLoadBalancer, HaproxyLoadBalancerArgs, HaproxySettings
from components.haproxy_load_balancer.rendering import (
    CHECK_AUTHORITY,
    CHECK_CERTIFICATE,
    CONFIGURATION,
    ENVIRONMENT,
    PEER_AUTHORITY,
    PEER_CERTIFICATE,
)
from components.host import Family
from components.settings import load
from tests.unit.ssh_tunnel_host.registered import STACK, Registered, host, register, revealed

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "haproxy"
PASSWORD: Final = "correct-horse"


def golden(name: str) -> HaproxySettings:
    return load(HaproxySettings, yaml.safe_load((GOLDEN / f"{name}.yaml").read_text()), "haproxy")


def cache_service(family: Family = Family.DEBIAN, password: Any = PASSWORD) -> dict[str, Registered]:
    def program() -> None:
        passwords = {"CACHE_SERVICE_PASSWORD": pulumi.Output.secret(password)}
        args = HaproxyLoadBalancerArgs(
            host=host("lb1", family=family), settings=golden("cache-service"), passwords=passwords
        )
        balancer = HaproxyLoadBalancer("cache", args)
        assert balancer.endpoints == {"haproxy_cache_service": ["127.0.0.1:30379"]}

    return register(program)


def sent(command: Registered) -> dict[str, str]:
    """The files of the archive that travels to the host, without the manifest."""
    text = revealed(command.inputs["stdin"])
    blob = base64.b64decode("".join(text.partition("sealed-data-tier/1 ")[2].splitlines()[1:]))
    with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
        members = {member.name: archive.extractfile(member) for member in archive}
        return {name: file.read().decode() for name, file in members.items() if file and name.startswith("file-")}


def test_types_and_parents() -> None:
    registered = cache_service()
    known = {
        name: (registered[name].kind, registered[name].parent) for name in ("cache", "cache-haproxy", "lb1-haproxy")
    }
    assert known == {
        "cache": ("sealed-data-tier:haproxy_load_balancer:HaproxyLoadBalancer", STACK),
        "cache-haproxy": ("sealed-data-tier:host:Role", "cache"),
        "lb1-haproxy": ("command:remote:Command", "cache-haproxy"),
    }


def test_reviewers_see_the_configuration_and_no_secret() -> None:
    registered = cache_service()
    reviewed = registered["cache-haproxy"].inputs
    assert reviewed["files"][CONFIGURATION] == (GOLDEN / "cache-service.cfg").read_text()
    assert reviewed["secretFiles"] == [ENVIRONMENT]
    assert reviewed["modes"][ENVIRONMENT] == "0600 root:root"
    assert set(reviewed["validations"]) == {"haproxy -c", "addresses and ports"}
    assert set(reviewed["checks"]) == {"runs what was written", "listens on 127.0.0.1:30379"}
    assert registered["cache"].inputs["passwords"] == ["CACHE_SERVICE_PASSWORD"]
    assert registered["cache"].inputs["settings"]["frontends"][0]["binds"][0]["address"] == "127.0.0.1"
    for each in registered.values():
        assert PASSWORD not in str({key: value for key, value in each.inputs.items() if key != "stdin"})
    environment = next(text for text in sent(registered["lb1-haproxy"]).values() if "setenv" in text)
    assert f"setenv CACHE_SERVICE_PASSWORD '{PASSWORD}'" in environment


def test_another_password_is_another_fingerprint_and_the_same_review() -> None:
    one, other = cache_service(), cache_service(password="battery-staple")
    assert one["cache-haproxy"].inputs == other["cache-haproxy"].inputs
    described = {
        line for each in (one, other) for text in sent(each["lb1-haproxy"]).values() for line in text.split("\n")
    }
    assert sum(line.startswith("    description ") for line in described) == 2


def test_red_hat_has_its_own_names() -> None:
    reviewed = cache_service(Family.RHEL)["cache-haproxy"].inputs
    assert reviewed["packages"] == ["haproxy", "socat", "iproute"]
    assert reviewed["selinuxBooleans"] == ["haproxy_connect_any"]
    assert "stats socket /var/lib/haproxy/stats mode 600 level admin" in reviewed["files"][CONFIGURATION]


def pair(**arguments: Any) -> HaproxyLoadBalancerArgs:
    passwords = arguments.pop("passwords", {"VALKEY_PASSWORD": PASSWORD})
    return HaproxyLoadBalancerArgs(host=host("lb1"), settings=golden("pair"), passwords=passwords, **arguments)


IDENTITY: Final = {"peer_certificate": "chain and key", "peer_authority": "authority"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({**IDENTITY, "passwords": {}}, "backends[1].healthCheck.password: 'VALKEY_PASSWORD' cannot be used: give its"),
        ({**IDENTITY, "passwords": {"VALKEY_PASSWORD": "x", "SPARE": "x"}}, "passwords: 'SPARE' cannot be used: no "),
        ({**IDENTITY, "local_peer": "lb3"}, "localPeer: 'lb3' cannot be used: this load balancer is none of lb1, lb2"),
        ({}, "peers.tls: True cannot be used: give peerCertificate and peerAuthority"),
    ],
)
def test_what_does_not_fit_the_settings_is_refused(arguments: dict[str, Any], said: str) -> None:
    def program() -> None:
        HaproxyLoadBalancer("pair", pair(**arguments))

    with pytest.raises(ConfigurationError) as refused:
        register(program)
    assert str(refused.value).startswith(said)


def test_certificates_are_files_of_their_own_and_are_checked_where_they_are_staged() -> None:
    def program() -> None:
        HaproxyLoadBalancer("pair", pair(**IDENTITY, local_peer="lb2"))

    reviewed = register(program)["pair-haproxy"].inputs
    assert reviewed["secretFiles"] == [ENVIRONMENT, PEER_CERTIFICATE]
    assert reviewed["files"][PEER_AUTHORITY] == "authority"
    for path in (PEER_CERTIFICATE, PEER_AUTHORITY):
        assert f"@{{{path}}}" in reviewed["validations"]["haproxy -c"]
    assert "listens on 192.0.2.2:10000" in reviewed["checks"]


def redis_tls(**arguments: Any) -> dict[str, Registered]:
    def program() -> None:
        settings, passwords = golden("redis-tls"), {"ORDERS_PASSWORD": pulumi.Output.secret(PASSWORD)}
        HaproxyLoadBalancer(
            "orders",
            HaproxyLoadBalancerArgs(host=host("lb1"), settings=settings, passwords=passwords, **arguments),
        )

    return register(program)


def test_checks_by_tls_have_certificates_of_their_own() -> None:
    found = redis_tls(check_certificate=pulumi.Output.secret("chain and key"), check_authority="authority")
    reviewed = found["orders-haproxy"].inputs
    assert reviewed["secretFiles"] == [ENVIRONMENT, CHECK_CERTIFICATE]
    assert reviewed["modes"][CHECK_CERTIFICATE] == "0600 root:root"
    assert reviewed["files"][CHECK_AUTHORITY] == "authority"
    for path in (CHECK_CERTIFICATE, CHECK_AUTHORITY):
        assert f"@{{{path}}}" in reviewed["validations"]["haproxy -c"]
    assert "chain and key" in sent(found["lb1-haproxy"]).values()


def test_another_certificate_of_checks_is_another_fingerprint() -> None:
    described = {
        line
        for certificate in ("one", "another")
        for text in sent(redis_tls(check_certificate=certificate, check_authority="a")["lb1-haproxy"]).values()
        for line in text.split("\n")
    }
    assert sum(line.startswith("    description ") for line in described) == 2


def test_checks_by_tls_need_certificates() -> None:
    with pytest.raises(ConfigurationError) as refused:
        redis_tls(check_certificate="chain and key")
    said = "backends[0].healthCheck.tls: True cannot be used: give checkCertificate and checkAuthority"
    assert str(refused.value) == said


def test_flows_are_what_others_need_of_the_host() -> None:
    found: list[Flow] = []

    def program() -> None:
        lb2, secrets = host("lb2"), {"CACHE_SERVICE_PASSWORD": PASSWORD}
        quiet = HaproxyLoadBalancerArgs(host=lb2, settings=golden("cache-service"), passwords=secrets)
        assert quiet.flows == (), "everything is on loopback"
        balancer = HaproxyLoadBalancer("pair", pair(**IDENTITY))
        found.extend(balancer.flows)

    register(program)
    assert [(flow.port, flow.sources, flow.purpose) for flow in found] == [
        (8181, "any", "HAProxy: browsers of the administrators"),
        (8181, ("198.51.100.0/24", "2001:db8:1::/48"), "HAProxy: the same over IPv6"),
        (10000, ["192.0.2.2"], "HAProxy peers"),
    ]
