"""What a load balancer may be, and what is said about one that cannot be."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from components.haproxy_load_balancer import HaproxySettings
from components.haproxy_load_balancer.notation import milliseconds
from components.settings import InvalidConfigurationError, load
from tests.variation import varied

GOOD: dict[str, Any] = {
    "frontends": [{"name": "in", "binds": [{"port": 30379}], "defaultBackend": "out"}],
    "backends": [{"name": "out", "servers": [{"name": "worker1", "port": 30378}, {"name": "worker2", "port": 30380}]}],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good settings with one value set; `path` as `varied` takes it."""
    return varied(GOOD, path, value)


def problems(data: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidConfigurationError) as refused:
        load(HaproxySettings, data, "haproxy")
    return refused.value.problems


def exposed(**more: Any) -> dict[str, Any]:
    return {"address": "192.0.2.1", "port": 8181, "exposedBecause": "browsers", **more}


def test_the_good_ones_are_good() -> None:
    settings = load(HaproxySettings, GOOD, "haproxy")
    assert settings.frontends[0].binds[0].endpoint == "127.0.0.1:30379"
    assert not settings.passwords
    assert not settings.sticky


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1"])
def test_loopback_needs_no_reason(address: str) -> None:
    load(HaproxySettings, changed("frontends.0.binds.0.address", address), "haproxy")


@pytest.mark.parametrize("address", ["*", "0.0.0.0", "::", "192.0.2.1", "2001:db8::1"])
def test_anything_wider_needs_a_reason(address: str) -> None:
    data = changed("frontends.0.binds.0.address", address)
    (problem,) = problems(data)
    assert problem.startswith("haproxy.frontends[0].binds[0].address: ")
    assert address in problem
    assert "set exposedBecause" in problem
    data["frontends"][0]["binds"][0]["exposedBecause"] = "browsers of the administrators"
    load(HaproxySettings, data, "haproxy")


REFUSED: dict[str, tuple[str, Any, str]] = {
    # what is wrong: what is set, to what, how the one problem reads
    "a name as bind": (
        "frontends.0.binds.0.address",
        "localhost",
        "frontends[0].binds[0].address: 'localhost' is no address",
    ),
    "IPv4 in disguise": (
        "frontends.0.binds.0.address",
        "::ffff:127.0.0.1",
        "frontends[0].binds[0].address: '::ffff:127.0.0.1' is no address",
    ),
    "a zone": ("backends.0.servers.0.address", "fe80::1%eth0", "backends[0].servers[0].address: 'fe80::1%eth0' is no"),
    "a reason that is none": (
        "frontends.0.binds.0",
        exposed(exposedBecause=" \t"),
        "frontends[0].binds[0].exposedBecause: ",
    ),
    "a reason of two lines": (
        "frontends.0.binds.0",
        exposed(exposedBecause="x\n    bind *:6379"),
        "frontends[0].binds[0].exposedBecause: ",
    ),
    "a reason for loopback": (
        "frontends.0.binds.0.exposedBecause",
        "browsers",
        "frontends[0].binds[0].exposedBecause: '127.0.0.1' is loopback",
    ),
    "sources for loopback": (
        "frontends.0.binds.0.sources",
        ["192.0.2.0/24"],
        "frontends[0].binds[0].sources: '127.0.0.1' is loopback",
    ),
    "a source that is a name": (
        "frontends.0.binds.0",
        exposed(sources=["app1"]),
        "frontends[0].binds[0].sources[0]: 'app1' is no network",
    ),
    "forged addresses": (
        "frontends.0.binds.0",
        exposed(acceptProxy=True),
        "frontends[0].binds[0].acceptProxy: anyone could forge",
    ),
    "a port that is none": ("frontends.0.binds.0.port", 65536, "frontends[0].binds[0].port (65536): "),
    "no bind": ("frontends.0.binds", [], "frontends[0].binds: "),
    "the same bind twice": (
        "frontends.0.binds",
        [{"port": 30379}, {"port": 30379}],
        "frontends[0].binds[1]: '127.0.0.1:30379' is taken by frontends[0].binds[0]: give each its own",
    ),
    "a bind below a wildcard": (
        "frontends.0.binds",
        [exposed(address="*"), exposed()],
        "frontends[0].binds[1]: '192.0.2.1:8181' is taken by frontends[0].binds[0]",
    ),
    "an unknown backend": (
        "frontends.0.defaultBackend",
        "uot",
        "frontends[0].defaultBackend: 'uot' is no backend: use one of out",
    ),
    "a host bit": (
        "frontends.0.expectProxyFrom",
        ["10.0.0.1/8"],
        "frontends[0].expectProxyFrom[0]: '10.0.0.1/8' is no",
    ),
    "a name with a space": ("frontends.0.name", "in out", "frontends[0].name: 'in out' is no name that HAProxy takes"),
    "no server": ("backends.0.servers", [], "backends[0].servers: "),
    "a server name twice": (
        "backends.0.servers.1.name",
        "worker1",
        "backends[0].servers[1].name: 'worker1' is the name of servers[0] too",
    ),
    "a server twice": (
        "backends.0.servers.1.port",
        30378,
        "backends[0].servers[1]: is the same place as server 'worker1'",
    ),
    "a loop": (
        "backends.0.servers.1.port",
        30379,
        "backends[0].servers[1]: '127.0.0.1:30379' is where its own frontend",
    ),
    "no server in service": (
        "backends.0.servers",
        [{"name": "a", "port": 1, "disabled": True}],
        "backends[0].servers: every server is disabled",
    ),
    "a weight of 257": ("backends.0.servers.0.weight", 257, "backends[0].servers[0].weight (257): "),
    "a default weight of -1": ("backends.0.defaultServer.weight", -1, "backends[0].defaultServer.weight (-1): "),
    "a number as time": ("backends.0.defaultServer.inter", 10, "backends[0].defaultServer.inter (10): "),
    "a time without unit": (
        "timeouts.client",
        "10800",
        "timeouts.client: '10800' is no time: give one number and a unit",
    ),
    "a time of two parts": ("timeouts.client", "1h30m", "timeouts.client: '1h30m' is no time"),
    "an endless time": ("timeouts.client", "25d", "timeouts.client: '25d' is no time"),
    "no time at all": ("timeouts.client", "0s", "timeouts.client: '0s' is no time"),
    "slow fast checks": (
        "backends.0.defaultServer.fastinter",
        "11s",
        "backends[0].defaultServer.fastinter: '11s' is longer than inter '10s'",
    ),
    "clients left hanging": (
        "backends.0.defaultServer",
        {"onError": "mark-down", "onMarkedDown": "shutdown-sessions"},
        "backends[0].defaultServer.onError: 'mark-down' with shutdown-sessions leaves the client hanging",
    ),
    "a size that is none": ("backends.0.stick", {"size": "30kB"}, "backends[0].stick.size: '30kB' is no size"),
    "redis without login": (
        "backends.0.healthCheck",
        {"protocol": "redis"},
        "backends[0].healthCheck.password: a redis check has to log in: name the variable",
    ),
    "redis with and without": (
        "backends.0.healthCheck",
        {"protocol": "redis", "password": "P", "withoutPassword": True},
        "backends[0].healthCheck.withoutPassword: contradicts password 'P'",
    ),
    "a user without password": (
        "backends.0.healthCheck",
        {"protocol": "redis", "user": "u", "withoutPassword": True},
        "backends[0].healthCheck.user: 'u' cannot log in without a password",
    ),
    "a tcp check that logs in": (
        "backends.0.healthCheck",
        {"password": "P"},
        "backends[0].healthCheck.password: a tcp check sends nothing",
    ),
    "a variable in lower case": (
        "backends.0.healthCheck",
        {"protocol": "redis", "password": "secret"},
        "backends[0].healthCheck.password: 'secret' is no variable",
    ),
    "HAProxy's own variable": (
        "backends.0.healthCheck",
        {"protocol": "redis", "password": "HAPROXY_LOCALPEER"},
        "backends[0].healthCheck.password: 'HAPROXY_LOCALPEER' is no variable",
    ),
    "a user with a quote": (
        "backends.0.healthCheck",
        {"protocol": "redis", "password": "P", "user": 'a" "'},
        "backends[0].healthCheck.user: ",
    ),
    "a tcp check by TLS": (
        "backends.0.healthCheck",
        {"tls": True},
        "backends[0].healthCheck.tls: a tcp check sends nothing: remove it, or set protocol: redis",
    ),
    "a name that no check looks at": (
        "backends.0.servers.1.certificateName",
        "worker2.example.com",
        "backends[0].servers[1].certificateName: 'worker2.example.com': no check looks at it: set healthCheck.tls",
    ),
    "a certificate with an address": (
        "backends.0.servers.1.certificateName",
        "192.0.2.1",
        "backends[0].servers[1].certificateName: '192.0.2.1' is an address, and HAProxy compares names only: give",
    ),
    "a certificate with a quote": (
        "backends.0.servers.1.certificateName",
        'a" verify none "',
        "backends[0].servers[1].certificateName: 'a\" verify none \"' is no name of a certificate: use letters",
    ),
    "PROXY protocol to redis": (
        "backends.0",
        {**GOOD["backends"][0], "sendProxy": "v2", "healthCheck": {"protocol": "redis", "password": "P"}},
        "backends[0].sendProxy: 'v2': Redis and Valkey do not read the PROXY protocol",
    ),
    "sticky on loopback": ("backends.0.stick", {}, "backends[0].stick: its frontends listen on loopback"),
    "balance by source on loopback": ("backends.0.balance", "source", "backends[0].balance: its frontends listen on"),
    "an unused backend": (
        "backends",
        [*GOOD["backends"], {"name": "spare", "servers": [{"name": "a", "port": 1}]}],
        "backends[1].name: 'spare' serves no frontend",
    ),
    "peers with nothing to say": (
        "peers",
        {"members": [{"name": "lb1", "address": "192.0.2.1"}, {"name": "lb2", "address": "192.0.2.2"}]},
        "peers: there is no stick table to share",
    ),
    "a key that nobody reads": ("backends.0.mode", "http", "backends[0].mode: nobody reads this key: use one of "),
}


@pytest.mark.parametrize(("path", "value", "said"), REFUSED.values(), ids=list(REFUSED))
def test_refused_with_path_value_and_fix(path: str, value: Any, said: str) -> None:
    (problem,) = problems(changed(path, value))
    assert problem.startswith(f"haproxy.{said}")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("frontends.0.name", "in"),
        ("frontends.0.defaultBackend", "out"),
        ("frontends.0.binds.0.address", "127.0.0.1"),
        ("frontends.0.timeoutClient", "1h"),
        ("frontends.0.expectProxyFrom", ["10.0.0.0/8"]),
        ("backends.0.name", "out"),
        ("backends.0.servers.0.name", "worker1"),
        ("backends.0.servers.0.address", "worker1.example.com"),
        ("backends.0.servers.0.address", "192.0.2.1"),
        ("backends.0.healthCheck", {"protocol": "redis", "password": "P"}),
        ("backends.0.healthCheck", {"protocol": "redis", "password": "P", "user": "u"}),
        ("backends.0.servers.0.certificateName", "worker1.example.com"),
        ("backends.0.stick", {"size": "1k"}),
    ],
)
def test_nothing_brings_a_line_break_along(path: str, value: Any) -> None:
    def broken(value: Any) -> Any:
        if isinstance(value, list):
            return [broken(each) for each in value]
        if isinstance(value, dict):
            *rest, last = value
            return {**{key: value[key] for key in rest}, last: broken(value[last])}
        return f"{value}\n"

    assert any("\\n" in problem for problem in problems(changed(path, broken(value))))


def test_a_check_by_tls_knows_whom_it_asks() -> None:
    data = changed("backends.0.healthCheck", {"protocol": "redis", "password": "P", "tls": True})
    servers = data["backends"][0]["servers"]
    servers[0]["address"] = "worker1.example.com"
    assert problems(data) == [
        "haproxy.backends[0].servers[1].certificateName: the certificate of '127.0.0.1:30380' needs a name, since "
        "HAProxy compares no addresses: give a DNS name or the common name that it has"
    ]
    servers[1]["certificateName"] = "orders redis2"
    backend = load(HaproxySettings, data, "haproxy").backends[0]
    assert [server.verified_name for server in backend.servers] == ["worker1.example.com", "orders redis2"]
    assert [server.server_name for server in backend.servers] == ["worker1.example.com", None]


def sticky(**more: Any) -> dict[str, Any]:
    data = changed("frontends.0.binds.0", exposed())
    data["backends"][0]["stick"] = {}
    return {**data, **more}


def peers(*members: tuple[str, str, int], **more: Any) -> dict[str, Any]:
    return {"members": [{"name": name, "address": address, "port": port} for name, address, port in members], **more}


def test_one_peer_is_refused() -> None:
    (problem,) = problems(sticky(peers=peers(("lb1", "192.0.2.1", 10000))))
    assert problem.startswith("haproxy.peers.members: 1 given: name two or more load balancers")


def test_the_same_peer_twice_is_refused() -> None:
    (problem,) = problems(sticky(peers=peers(("lb1", "192.0.2.1", 10000), ("lb1", "192.0.2.2", 10000))))
    assert problem.startswith("haproxy.peers.members[1].name: 'lb1' is the name of members[0] too")


def test_peers_in_plaintext_are_refused_beyond_loopback() -> None:
    pair = peers(("lb1", "127.0.0.1", 10000), ("lb2", "192.0.2.2", 10000), tls=False)
    (problem,) = problems(sticky(peers=pair))
    assert problem.startswith("haproxy.peers.members[1].address: '192.0.2.2' would send the tables in plaintext")
    tunnelled = peers(("lb1", "127.0.0.1", 10000), ("lb2", "127.0.0.1", 10001), tls=False)
    load(HaproxySettings, sticky(peers=tunnelled), "haproxy")


def test_peers_do_not_listen_where_clients_do() -> None:
    pair = peers(("lb1", "192.0.2.1", 8181), ("lb2", "192.0.2.2", 8181))
    (problem,) = problems(sticky(peers=pair))
    assert problem.startswith("haproxy.frontends[0].binds[0]: '192.0.2.1:8181' is taken by peers.members[0]")
    data = sticky(localPeerPort=8181)
    data["frontends"][0]["binds"][0] = exposed(address="*")
    (problem,) = problems(data)
    assert problem.startswith("haproxy.frontends[0].binds[0]: '*:8181' is taken by localPeerPort")


def test_a_sender_of_the_proxy_protocol_makes_stickiness_useful_on_loopback() -> None:
    data = changed("frontends.0.binds.0.acceptProxy", True)
    data["backends"][0] |= {"stick": {}, "balance": "source"}
    load(HaproxySettings, data, "haproxy")


def test_a_wildcard_does_not_forbid_the_same_port_elsewhere() -> None:
    data = changed("frontends.0.binds.0", exposed(address="*"))
    data["backends"][0]["servers"] = [{"name": "ccc1", "address": "192.0.2.11", "port": 8181}]
    load(HaproxySettings, data, "haproxy")
    data["backends"][0]["servers"] = [{"name": "ccc1", "address": "127.0.0.1", "port": 8181}]
    assert problems(data) == [
        "haproxy.backends[0].servers[0]: '127.0.0.1:8181' is where its own frontend listens: HAProxy would call itself"
    ]


def test_ipv4_and_ipv6_share_a_port() -> None:
    binds = [exposed(address="*"), exposed(address="::"), {"port": 30379}, {"address": "::1", "port": 30379}]
    load(HaproxySettings, changed("frontends.0.binds", binds), "haproxy")


def test_every_problem_is_told_at_once() -> None:
    data = changed("frontends.0.defaultBackend", "uot")
    data["frontends"].append({**deepcopy(GOOD["frontends"][0]), "defaultBackend": "out"})
    paths = [problem.split(": ")[0] for problem in problems(data)]
    assert paths == [
        "haproxy.frontends[1].name",
        "haproxy.frontends[0].defaultBackend",
        "haproxy.frontends[1].binds[0]",
    ]


@pytest.mark.parametrize(
    ("time", "expected"), [("500ms", 500), ("10800s", 10_800_000), ("3h", 10_800_000), ("24d", 2_073_600_000)]
)
def test_times_are_compared_in_milliseconds(time: str, expected: int) -> None:
    assert milliseconds(time) == expected


def test_exposed_frontends_pass_tls_only_unless_said_otherwise() -> None:
    data = changed("frontends.0.binds.0", exposed())
    assert load(HaproxySettings, data, "haproxy").frontends[0].requires_tls
    data["frontends"][0]["tlsOnly"] = False
    assert not load(HaproxySettings, data, "haproxy").frontends[0].requires_tls
    assert not load(HaproxySettings, GOOD, "haproxy").frontends[0].requires_tls
