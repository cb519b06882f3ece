"""What the engine is told: types, names, order, inputs, and that no secret is among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from components.certificates import CertificateAuthority
from components.errors import ConfigurationError
from components.host import Family
from components.redis_tls_cluster import RedisTlsCluster, RedisTlsClusterArgs, RedisTlsSettings
from components.settings import load
from tests.unit.ssh_tunnel_host.registered import PRIVATE_KEY, Registered, host, register, revealed

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "redis"
ADDRESSES: Final = {f"redis{number}": f"192.0.2.{10 + number}" for number in range(1, 7)} | {"lb1": "192.0.2.20"}


def registered(name: str, **more: Any) -> dict[str, Registered]:
    data = yaml.safe_load((GOLDEN / f"{name}.yaml").read_text()) | more
    settings = load(RedisTlsSettings, data, "redis")

    def program() -> None:
        hosts = {each: host(each, address=address) for each, address in ADDRESSES.items()}
        authority = CertificateAuthority("root")
        RedisTlsCluster("orders", RedisTlsClusterArgs(settings=settings, hosts=hosts, authority=authority))

    return register(program)


def test_types_and_names_stay() -> None:
    found = registered("standalone")
    own = {name: each.kind for name, each in found.items() if name.startswith("orders")}
    assert own == {
        "orders": "sealed-data-tier:redis_tls_cluster:RedisTlsCluster",
        "orders-passwords": "sealed-data-tier:passwords:Passwords",
        "orders-passwords-key": "tls:index/privateKey:PrivateKey",
        "orders-client": "sealed-data-tier:certificates:Certificate",
        "orders-client-1": "tls:index/locallySignedCert:LocallySignedCert",
        "orders-client-1-key": "tls:index/privateKey:PrivateKey",
        "orders-client-1-request": "tls:index/certRequest:CertRequest",
        "orders-redis1": "sealed-data-tier:certificates:Certificate",
        "orders-redis1-1": "tls:index/locallySignedCert:LocallySignedCert",
        "orders-redis1-1-key": "tls:index/privateKey:PrivateKey",
        "orders-redis1-1-request": "tls:index/certRequest:CertRequest",
        "orders-redis1-node": "sealed-data-tier:host:Role",
    }
    assert "redis1-redis" in found


def test_a_group_is_brought_together_at_the_end() -> None:
    found = registered("sentinel")
    assert "/usr/local/lib/valkey-tls/group settle" in found["redis1-orders-group"].inputs["create"]
    roles = {name: each.inputs for name, each in found.items() if each.kind == "sealed-data-tier:host:Role"}
    assert set(roles) == {"orders-redis1-node", "orders-redis2-node", "orders-lb1-node"}
    assert roles["orders-lb1-node"]["units"] == ["valkey-sentinel.service"]
    assert roles["orders-redis1-node"]["units"] == ["valkey-server.service", "valkey-sentinel.service"]
    assert "valkey-server" not in roles["orders-lb1-node"]["packages"]


def test_certificates_are_for_what_is_dialled() -> None:
    request = registered("standalone")["orders-redis1-1-request"].inputs
    assert request["ipAddresses"] == ["192.0.2.11"]
    assert request["dnsNames"] == ["redis1.example.com"]


def test_no_secret_is_told_in_the_open() -> None:
    found = registered("sentinel", users=[{"name": "app", "password": "correct-horse"}])
    assert "correct-horse" not in json.dumps({name: _open(each.inputs) for name, each in found.items()})
    assert PRIVATE_KEY not in json.dumps({name: _open(each.inputs) for name, each in found.items()})
    role = found["orders-redis1-node"].inputs
    assert set(role["secretFiles"]) == {
        "/etc/valkey/manager.password",
        "/etc/valkey/passwords.conf",
        "/etc/valkey/users.acl",
        "/etc/valkey/sentinel.passwords",
        "/etc/valkey/sentinel-users.acl",
        "/etc/valkey/tls/server/server.key",
        "/etc/valkey/tls/client/client.key",
    }
    assert revealed(found["redis1-valkey"].inputs["stdin"])


def _open(value: Any) -> Any:
    """A value without its secrets."""
    if isinstance(value, dict):
        is_secret = "4dabf18193072939515e22adb298388d" in value
        return "[secret]" if is_secret else {key: _open(each) for key, each in value.items()}
    return [_open(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [
        ([{"host": "redis9"}], r"nodes\[0\]\.host: 'redis9' cannot be used: name a host of the stack: .*redis1"),
        ([{"host": "centos"}], r"nodes\[0\]\.host: 'centos' cannot be used: use a host of the family debian"),
        ([{"host": "named"}], r"nodes\[0\]\.address: 'db\.example\.com' cannot be used: a server binds addresses"),
    ],
)
def test_hosts_that_do_not_fit_are_refused(nodes: list[dict[str, str]], problem: str) -> None:
    settings = load(RedisTlsSettings, {"nodes": nodes}, "redis")

    def program() -> None:
        hosts = {
            "redis1": host("redis1"),
            "centos": host("centos", family=Family.RHEL),
            "named": host("named", address="db.example.com"),
        }
        with pytest.raises(ConfigurationError, match=problem):
            RedisTlsClusterArgs(settings=settings, hosts=hosts, authority=CertificateAuthority("root"))

    register(program)
