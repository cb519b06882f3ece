"""What a load balancer is told of a group, and what is said where it cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pulumi
import pytest
import yaml

from components.certificates import CertificateAuthority
from components.errors import ConfigurationError
from components.haproxy_load_balancer import Backend, HaproxySettings
from components.redis_tls_cluster import RedisTlsClusterArgs, RedisTlsSettings
from components.settings import load
from tests.unit.ssh_tunnel_host.registered import host, register

HAPROXY: Final = Path(__file__).parents[2] / "golden" / "haproxy" / "redis-tls.yaml"
GROUP: Final[dict[str, Any]] = {
    "name": "orders",
    "topology": "sentinel",
    "nodes": [{"host": f"redis{number}", "names": ["192.0.2.20"]} for number in (1, 2, 3)],
    "users": [{"name": "app"}, {"name": "haproxy", "rules": ["+ping", "+info"]}],
}


def backend(first: Any = "192.0.2.11", **more: Any) -> Backend:
    found: list[Backend] = []

    def program() -> None:
        addresses = (first, "192.0.2.12", "192.0.2.13")
        hosts = {f"redis{number}": host(f"redis{number}", address=each) for number, each in enumerate(addresses, 1)}
        settings = load(RedisTlsSettings, {**GROUP, **more}, "redis")
        args = RedisTlsClusterArgs(settings=settings, hosts=hosts, authority=CertificateAuthority("root"))
        found.append(args.primary_backend(user="haproxy", password="ORDERS_PASSWORD"))

    register(program)
    return found[0]


def test_the_primary_is_followed_as_the_golden_file_has_it() -> None:
    (expected,) = load(HaproxySettings, yaml.safe_load(HAPROXY.read_text()), "haproxy").backends
    ours = backend()
    assert ours.health_check == expected.health_check
    assert ours.default_server == expected.default_server
    assert [(each.endpoint, each.verified_name) for each in ours.servers] == [
        ("192.0.2.11:6379", "orders redis1"),
        ("192.0.2.12:6379", "orders redis2"),
        ("192.0.2.13:6379", "orders redis3"),
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"users": [{"name": "app"}]}, "users: 'haproxy' cannot be used: list {name: haproxy, rules: ['+ping', '+info"),
        ({"topology": "cluster"}, "topology: 'cluster' cannot be used: only with sentinel there is a primary"),
        (
            {"first": pulumi.Output.from_input("192.0.2.11")},
            "nodes[0].address: None cannot be used: HAProxy's configuration names it before the host is there: give",
        ),
    ],
)
def test_what_no_load_balancer_can_follow_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        backend(**more)
    assert str(refused.value).startswith(said)
