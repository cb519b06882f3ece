"""What is written: golden files, the guides' own lines in them, and properties of whatever is accepted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.errors import ConfigurationError
from components.haproxy_load_balancer import HaproxySettings, rendering
from components.settings import load
from policies.parsers import haproxy
from tests.unit.haproxy_load_balancer import strategies

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "haproxy"
SOCKET: Final = "/run/haproxy/admin.sock"

# The HAProxy parts of the guides, with what HAProxy calls things today and with health checks where there were none.
GUIDES: Final = {
    "cache-service": """
        frontend haproxy_cache_service
            bind 127.0.0.1:30379
            mode tcp
            option tcplog
            timeout client  10800s
            default_backend masters_cache_service
        backend masters_cache_service
            mode tcp
            option tcplog
            option tcp-check
            balance roundrobin
            default-server inter 10s downinter 5s rise 2 fall 2 slowstart 60s maxconn 1000 maxqueue 1024 weight 100
            server worker1.example.com 127.0.0.1:30378 check
            server worker2.example.com 127.0.0.1:30380 check
            server worker3.example.com 127.0.0.1:30381 check
    """,
    "ccc": """
        frontend https-in
            mode tcp
            bind *:8181
            default_backend app
        backend app
            mode tcp
            balance roundrobin
            stick-table type binary len 32 size 30k expire 30m peers own_tables
            acl clienthello req.ssl_hello_type 1
            acl serverhello res.ssl_hello_type 2
            tcp-request inspect-delay 5s
            tcp-request content accept if clienthello
            tcp-response content accept if serverhello
            stick on req.payload_lv(43,1) if clienthello
            stick store-response res.payload_lv(43,1) if serverhello
            server ccc1 192.0.2.11:8181 check
            server ccc2 192.0.2.12:8181 check
    """,
}


def render(data: dict[str, Any], local_peer: str = "lb1") -> str:
    model = load(HaproxySettings, data, "haproxy")
    return rendering.configuration(model, stats_socket=SOCKET, local_peer=local_peer)


def golden(name: str) -> str:
    return render(yaml.safe_load((GOLDEN / f"{name}.yaml").read_text()))


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.yaml")))
def test_golden(name: str) -> None:
    path = GOLDEN / f"{name}.cfg"
    text = golden(name)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("name", GUIDES)
def test_every_line_of_the_guide_is_in_effect(name: str) -> None:
    ours = haproxy.parse(golden(name))
    assert not ours.problems
    everywhere = next(section for section in ours.sections if section.kind == "defaults")
    for section in haproxy.parse(GUIDES[name]).sections:
        (counterpart,) = [each for each in ours.sections if (each.kind, each.name) == (section.kind, section.name)]
        in_effect = {each.words for each in (*counterpart.directives, *everywhere.directives)}
        assert {each.words for each in section.directives} <= in_effect


@given(strategies.settings())
def test_whatever_is_accepted_reads_back(data: dict[str, Any]) -> None:
    text = render(data)
    assert all(line.isprintable() for line in text.splitlines())
    assert text.endswith("\n")
    assert "\n\n\n" not in text
    parsed = haproxy.parse(text)
    assert not parsed.problems
    sections = {(section.kind, section.name): section for section in parsed.sections}
    assert len(sections) == len(parsed.sections)
    model = load(HaproxySettings, data, "haproxy")
    for frontend in model.frontends:
        section = sections["frontend", frontend.name]
        listening = [listener for listener in parsed.listeners() if listener.section is section]
        assert [listener.address for listener in listening] == [bind.endpoint for bind in frontend.binds]
        reach = [haproxy.Reach.HOST if bind.loopback else haproxy.Reach.NETWORK for bind in frontend.binds]
        assert [listener.reach for listener in listening] == reach
        rejects = ("tcp-request", "content", "reject") in {each.words for each in section.directives}
        assert rejects == frontend.requires_tls
    for backend in model.backends:
        lines = [each.words for each in sections["backend", backend.name].directives if each.words[0] == "server"]
        assert [words[1:3] for words in lines] == [(server.name, server.endpoint) for server in backend.servers]
    logins = [(login.directive.words[1], login.tls, login.verified) for login in parsed.logins()]
    expected = [
        (server.name, each.health_check.tls)
        for each in model.backends
        for server in each.servers
        if each.health_check.password
    ]
    assert logins == [(name, tls, True) for name, tls in expected]
    peers = [listener for listener in parsed.listeners() if listener.section.kind == "peers"]
    if model.peers:
        assert [listener.tls for listener in peers] == [True]
    elif model.sticky:
        assert [listener.address for listener in peers] == [f"127.0.0.1:{model.local_peer_port}"]
    else:
        assert not peers


@given(st.text(min_size=1), st.sampled_from(["A", "B_2"]))
def test_a_password_stands_quoted_in_the_environment_and_nowhere_else(password: str, variable: str) -> None:
    text = rendering.environment({variable: password}, fingerprint="0123456789abcdef")
    assert all(line.isprintable() for line in text.splitlines())
    (section,) = haproxy.parse(text).sections
    (words,) = [each.words for each in section.directives if each.words[0] == "setenv"]
    assert words[:2] == ("setenv", variable)
    assert _unquoted(words[2]) == password.encode()


def _unquoted(text: str) -> bytes:
    """As Redis reads a quoted argument (sdssplitargs)."""
    head, *rest = text.split("\\x")
    return head.encode() + b"".join(bytes([int(part[:2], 16)]) + part[2:].encode() for part in rest)


def test_an_empty_password_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="give a password"):
        rendering.environment({"A": ""}, fingerprint="0123456789abcdef")


def test_fingerprints_tell_configurations_apart() -> None:
    prints = {rendering.fingerprint(*parts) for parts in [("a", "b"), ("ab", ""), ("", "ab"), ("a", "c"), ("ab",)]}
    assert len(prints) == 5


def test_peers_differ_in_their_own_lines_only() -> None:
    data = yaml.safe_load((GOLDEN / "pair.yaml").read_text())
    first, second = (set(render(data, name).splitlines()) for name in ("lb1", "lb2"))
    assert {line.split()[0] for line in first ^ second} == {"localpeer", "bind", "server"}


def test_the_drop_in_reads_the_secret_file_first() -> None:
    assert f'"CONFIG={rendering.ENVIRONMENT} -f {rendering.CONFIGURATION}"' in rendering.service_drop_in()
