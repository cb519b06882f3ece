"""Bind to localhost: every rule broken and kept."""

from __future__ import annotations

import pytest

from tests.policies.support import HAPROXY, REDIS, SEALED, SSH, SSH_TEXT, found, role, rules


def haproxy(bind: str, section: str = "frontend f") -> set[str]:
    return rules(found(HAPROXY, f"{section}\n    {bind}\n"))


def redis(text: str) -> set[str]:
    return rules(found(REDIS, text))


def ssh(local_forward: str, *more: str) -> set[str]:
    text = SSH_TEXT.replace("127.0.0.1:30379 127.0.0.1:30379", local_forward) + "".join(
        f"    {each}\n" for each in more
    )
    return rules(found(SSH, text))


def test_sealed_files_break_no_rule() -> None:
    outcome = role(SEALED)
    assert outcome.violations == []
    assert outcome.notes == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:80",
        "127.8.9.10:80-90",
        "[::1]:80",
        "::1:80",
        "ipv4@127.0.0.1:80",
        "ipv6@[::1]:80",
        "localhost:80",
        "/run/x.sock",
        "unix@/run/x.sock",
        "abns@x",
        "[::ffff:127.0.0.1]:80",
        "127.0.0.1:80,[::1]:80",
    ],
)
def test_haproxy_on_loopback(address: str) -> None:
    assert haproxy(f"bind {address}") == set()


@pytest.mark.parametrize(
    "bind",
    [
        "bind *:80",
        "bind :80",
        "bind 0.0.0.0:80",
        "bind [::]:80",
        "bind :::80",
        "bind 10.0.0.5:80",
        "bind vip.example.com:80",
        "bind 127.0.0.1:80,:81",
        "bind ipv4@*:80",
        "bind quic4@10.0.0.5:443 ssl crt /x",
        "bind *:443 ssl crt /etc/x.pem",
        'bind "${ADDRESS}:80"',
        "bind fd@3",
        'bind "*":80',
        "bind \\*:80",
        "BIND 1:1 \n bind\t*:80",
        "dgram-bind :514",
    ],
)
def test_haproxy_beyond_loopback(bind: str) -> None:
    assert haproxy(bind) == {"haproxy-bind"}


def test_haproxy_comments_are_no_binds() -> None:
    assert haproxy("# bind *:80\n    bind 127.0.0.1:80 # *:80") == set()


def test_haproxy_conditional_blocks_count() -> None:
    assert haproxy(".if defined(WIDE)\n    bind *:80\n    .endif") == {"haproxy-bind"}


def test_haproxy_peers_and_runtime_socket() -> None:
    assert haproxy("bind 10.0.0.1:1024", "peers p") == {"haproxy-bind"}
    assert haproxy("peer lb1 10.0.0.1:1024", "peers p") == {"haproxy-bind"}
    assert haproxy("bind 127.0.0.1:1024\n    server lb2 10.0.0.2:1024", "peers p") == set()
    assert haproxy("stats socket ipv4@*:9999 level admin", "global") == {"haproxy-bind"}
    assert haproxy("stats socket /run/admin.sock mode 600", "global") == set()


def test_haproxy_message_names_resource_file_line_value_and_fix() -> None:
    outcome = role({HAPROXY: "frontend f\n    mode tcp\n    bind *:30379\n"})
    assert outcome.violations == [
        (
            "bind-to-localhost",
            "lb1-role: /etc/haproxy/haproxy.cfg:3: `bind *:30379`: listens without TLS of its own where the network "
            "may reach it. Fix: bind 127.0.0.1:30379, or declare an exception with a reason and an expiry date. "
            "[haproxy-bind]",
        )
    ]


@pytest.mark.parametrize(
    "text",
    [
        "bind 127.0.0.1",
        "bind 127.0.0.1 ::1",
        "bind 127.0.0.1 -::1",
        'bind "127.0.0.1"',
        "BIND localhost",
        "bind *\nbind 127.0.0.1",
        "port 0\nunixsocket /run/valkey.sock",
        'bind ""\nunixsocket /run/valkey.sock',
        "port 0\ntls-port 6379\nbind *",
    ],
)
def test_redis_on_loopback_or_with_tls(text: str) -> None:
    assert redis(text) == set()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "port 7000",
        "bind *",
        "bind 127.0.0.1 10.0.0.5",
        "bind 127.0.0.1\nbind 0.0.0.0",
        "bind -::*",
        "bind 127.0.0.1 -::*",
        "bind 'redis.example.com'",
    ],
)
def test_redis_beyond_loopback(text: str) -> None:
    assert "redis-bind" in redis(text)


@pytest.mark.parametrize("answer", ["no", "optional"])
def test_redis_tls_without_client_certificates(answer: str) -> None:
    closed = "user default off"
    assert redis(f"port 0\ntls-port 6379\nbind *\ntls-auth-clients {answer}\n{closed}") == {"redis-bind"}
    assert redis(f"port 0\ntls-port 6379\nbind 127.0.0.1\ntls-auth-clients {answer}") == set()


def test_redis_includes_are_followed() -> None:
    included = "/etc/valkey/conf.d/net.conf"
    findings = found(REDIS, "bind 127.0.0.1\ninclude /etc/valkey/conf.d/*.conf", **{included: "bind 0.0.0.0"})
    assert [(each.rule, each.path, each.line) for each in findings] == [
        ("redis-bind", included, 1),
        ("redis-port", REDIS, None),
    ]


def test_redis_include_of_an_unknown_file_is_told() -> None:
    outcome = role({REDIS: "bind 127.0.0.1\ninclude /etc/valkey/local.conf\n"})
    assert outcome.violations == []
    assert outcome.notes == [
        "not checked: lb1-role: /etc/valkey/valkey.conf:2: `include /etc/valkey/local.conf`: the included file is "
        "not part of the role, and may change what listens. Fix: let the role own it, or leave the include out. "
        "[redis-bind]"
    ]


def test_sentinel_listens_everywhere_by_default() -> None:
    assert rules(found("/etc/redis/sentinel.conf", "sentinel monitor a 127.0.0.1 6379 2")) == {
        "redis-bind",
        "redis-port",
    }


@pytest.mark.parametrize(
    "near", ["127.0.0.1:30379", "[::1]:30379", "localhost:30379", "127.0.0.1/30379", "/run/x.sock"]
)
def test_tunnel_on_loopback(near: str) -> None:
    assert ssh(f"{near} 127.0.0.1:30379") == set()


@pytest.mark.parametrize("near", ["*:30379", "0.0.0.0:30379", "[::]:30379", ":30379", "10.0.0.5:30379", "*/30379"])
def test_tunnel_beyond_loopback(near: str) -> None:
    assert ssh(f"{near} 127.0.0.1:30379") == {"tunnel-bind"}


def test_tunnel_without_an_address_follows_gateway_ports() -> None:
    assert ssh("30379 127.0.0.1:30379") == {"tunnel-client"}
    assert ssh("30379 127.0.0.1:30379", "GatewayPorts yes") == {"tunnel-client", "tunnel-bind"}


@pytest.mark.parametrize(
    ("arguments", "broken"),
    [
        ("-L 127.0.0.1:30379:127.0.0.1:30379", False),
        ("-L [::1]:30379:[::1]:30379", False),
        ("-L 30379:127.0.0.1:30379", False),
        ("-NL *:30379:127.0.0.1:30379", True),
        ("-L0.0.0.0:30379:127.0.0.1:30379", True),
        ("-g -L 30379:127.0.0.1:30379", True),
        ("-D :1080", True),
        ("-o 'LocalForward *:30379 127.0.0.1:30379'", True),
        ("-o LocalForward=0.0.0.0:30379\\ 127.0.0.1:30379", True),
    ],
)
def test_tunnel_on_a_command_line(arguments: str, broken: bool) -> None:
    unit = f"[Service]\nExecStart=-/usr/bin/ssh -N \\\n  {arguments} tunnel@lb1\n"
    assert ("tunnel-bind" in rules(found("/etc/systemd/system/x.service", unit))) is broken
    script = f"#!/bin/sh\nexec /usr/bin/ssh -N \\\n  {arguments} tunnel@lb1 || exit 1\n"
    assert ("tunnel-bind" in rules(found("/usr/local/bin/x.sh", script))) is broken


@pytest.mark.parametrize(
    ("listen", "broken"),
    [
        ("127.0.0.1:80", False),
        ("[::1]:80", False),
        ("/run/x.sock", False),
        ("@abstract", False),
        ("80", True),
        ("0.0.0.0:80", True),
        ("[::]:80", True),
    ],
)
def test_systemd_sockets(listen: str, broken: bool) -> None:
    findings = found("/etc/systemd/system/x.socket", f"[Socket]\nListenStream={listen}\n")
    assert rules(findings) == ({"socket-bind"} if broken else set())


def test_empty_assignment_forgets_sockets() -> None:
    text = "[Socket]\nListenStream=80\nListenStream=\nListenStream=127.0.0.1:80\n"
    assert found("/etc/systemd/system/x.socket", text) == []


def test_unreadable_lines_are_told_without_their_text() -> None:
    outcome = role({HAPROXY: "frontend f\n    bind 'very secret\n", REDIS: 'bind 127.0.0.1\nsave "\n'})
    assert outcome.rules == {"unreadable"}
    assert all("very secret" not in message for _, message in outcome.violations)
