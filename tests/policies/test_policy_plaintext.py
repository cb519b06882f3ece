"""Plaintext port disabled: every rule broken and kept."""

from __future__ import annotations

import pytest

from tests.policies.support import REDIS, found, role

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


def test_message() -> None:
    outcome = role({REDIS: "bind 127.0.0.1\nport 6380\ntls-port 6379\n"})
    assert outcome.violations == [
        (
            "plaintext-port-disabled",
            "lb1-role: /etc/valkey/valkey.conf:2: `port 6380`: plaintext port 6380 is open beside tls-port 6379. "
            "Fix: write 'port 0'. [redis-port]",
        )
    ]
