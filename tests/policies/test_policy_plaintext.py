"""Plaintext port disabled: every rule broken and kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.support import ROOT
from tests.policies.support import HAPROXY, REDIS, found, role

TLS = "tls-port 6379\n"


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("bind 127.0.0.1\n", False),
        ("bind 127.0.0.1\nport 0\n" + TLS, False),
        ("bind *\nport 0\n" + TLS, False),
        ("port 0\nunixsocket /run/x\n", False),
        ("bind 127.0.0.1\n" + TLS, True),  # the default port stays open beside TLS
        ("bind 127.0.0.1\nport 6380\n" + TLS, True),
        ("bind *\nport 6379\n", True),
        ("port 0\nport 6379\nbind *\n", True),  # the last one counts
        ("", True),
    ],
)
def test_port(text: str, broken: bool) -> None:
    findings = [finding for finding in found(REDIS, text) if finding.rule == "redis-port"]
    assert bool(findings) is broken


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("cluster-enabled yes\ntls-cluster yes\n", False),
        ("cluster-enabled yes\n", True),
        ("cluster-enabled yes\ntls-cluster no\n", True),
        ("cluster-enabled yes\ntls-cluster yes\ntls-replication yes\n", False),
        ("cluster-enabled yes\ntls-cluster yes\ntls-replication no\n", True),
        ("cluster-enabled yes\ntls-cluster yes\nport 6380\n", True),
        ("min-replicas-to-write 1\ntls-replication no\n", True),
        ("min-replicas-to-write 1\ntls-replication yes\n", False),
        ("min-replicas-to-write 0\ntls-replication no\n", False),
        ("tls-replication no\n", False),  # alone, and nobody's replica
        ("replicaof 10.0.0.5 6379\n", True),
        ("replicaof 10.0.0.5 6379\ntls-replication yes\n", False),
        ("replicaof 127.0.0.1 6380\n", False),  # through a tunnel
        ("replicaof no one\n", False),
    ],
)
def test_bus(text: str, broken: bool) -> None:
    findings = [finding for finding in found(REDIS, f"bind *\nport 0\n{TLS}{text}") if finding.rule == "redis-bus"]
    assert bool(findings) is broken


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("sentinel monitor cache 10.0.0.5 6379 2\ntls-replication yes\n", False),
        ("sentinel monitor cache 10.0.0.5 6379 2\n", True),
        ("SENTINEL MONITOR cache redis1 6379 2\ntls-replication no\n", True),
        ("sentinel monitor cache 127.0.0.1 6379 2\n", False),
        ("sentinel monitor\n", False),
    ],
)
def test_sentinel_dials_as_replicas_do(text: str, broken: bool) -> None:
    findings = found("/etc/valkey/sentinel.conf", f"bind *\nport 0\ntls-port 26379\n{text}")
    assert any(finding.rule == "redis-bus" for finding in findings) is broken


LOGIN = 'tcp-check send "AUTH checker \\"${PASSWORD}\\"\\r\\n"\n'
TLS_CHECK = "default-server check-ssl crt check.pem ca-file ca.pem verify required\n"


@pytest.mark.parametrize(
    ("lines", "broken"),
    [
        (f"{LOGIN}server a 127.0.0.1:6379 check", False),
        (f"{LOGIN}server a unix@/run/redis.sock check", False),
        (f"{LOGIN}server a 10.0.0.5:6379", False),  # not checked
        (f"{LOGIN}server a 10.0.0.5:6379 check", True),
        (f"{LOGIN}server a redis1.example.com:6379 check", True),
        (f"{LOGIN}server a 10.0.0.5:6379 check ssl ca-file ca.pem", False),
        (f"{LOGIN}{TLS_CHECK}server a 10.0.0.5:6379 check", False),
        (f"{LOGIN}{TLS_CHECK}server a 10.0.0.5:6379 check no-check-ssl", True),
        (f"{LOGIN}{TLS_CHECK}server a 10.0.0.5:6379 check verify none", True),
        (f"{LOGIN}server a 10.0.0.5:6379 check\n{TLS_CHECK}", True),  # too late for the server above
        (f"tcp-check connect default\n{LOGIN}{TLS_CHECK}server a 10.0.0.5:6379 check", False),
        (f"tcp-check connect\n{LOGIN}{TLS_CHECK}server a 10.0.0.5:6379 check", True),  # as it is written: plain
        (f"tcp-check connect ssl\n{LOGIN}server a 10.0.0.5:6379 check", False),
        (f"tcp-check connect ssl\n{LOGIN}tcp-check connect port 1\n{LOGIN}server a 10.0.0.5:6379 check", True),
        ("tcp-check send HELLO\\ 3\\ AUTH\\ u\\ p\\r\\n\nserver a 10.0.0.5:6379 check", True),
        ("tcp-check send PING\\r\\n\nserver a 10.0.0.5:6379 check", False),
        ("server a 10.0.0.5:6379 check", False),
    ],
)
def test_passwords_of_health_checks(lines: str, broken: bool) -> None:
    findings = found(HAPROXY, f"backend b\n{lines}\n")
    assert [finding.rule for finding in findings] == ["haproxy-check"] * broken


def test_health_checks_have_what_the_defaults_say() -> None:
    checked = f"{LOGIN}server a 10.0.0.5:6379\n"
    assert found(HAPROXY, f"defaults\n{TLS_CHECK}default-server check\nbackend b\n{checked}") == []
    findings = found(HAPROXY, f"defaults\ndefault-server check\nbackend b\n{checked}")
    assert [str(finding) for finding in findings] == [
        "/etc/haproxy/haproxy.cfg:5: `server a 10.0.0.5:6379`: the health check sends a password in plaintext where "
        "others may read it. Fix: let it speak TLS (healthCheck.tls: true), or dial 127.0.0.1 through a tunnel. "
        "[haproxy-check]"
    ]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests" / "golden" / "haproxy").glob("*.cfg")), ids=lambda path: path.stem
)
def test_what_load_balancers_have_is_exposed_at_most(path: Path) -> None:
    assert {finding.rule for finding in found(HAPROXY, path.read_text())} <= {"haproxy-bind"}


def test_message() -> None:
    outcome = role({REDIS: "bind 127.0.0.1\nport 6380\ntls-port 6379\n"})
    assert outcome.violations == [
        (
            "plaintext-port-disabled",
            "lb1-role: /etc/valkey/valkey.conf:2: `port 6380`: plaintext port 6380 is open beside tls-port 6379. "
            "Fix: write 'port 0'. [redis-port]",
        )
    ]
