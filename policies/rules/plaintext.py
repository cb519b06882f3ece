"""Plaintext port disabled: where TLS is on, nothing answers in plaintext; without it, nothing beyond loopback does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from policies.parsers import haproxy, redis
from policies.parsers.addresses import is_loopback
from policies.parsers.formats import Format, of_format
from policies.rules.finding import Finding, HostFiles
from policies.rules.redis_servers import servers

RULES: Final = {
    "redis-port": "Redis and Valkey have `port 0` beside a tls-port, and no plaintext port beyond loopback",
    "redis-bus": "the bus (`tls-cluster`), replication and Sentinel (`tls-replication`) speak TLS beyond the host",
    "haproxy-check": "health checks that send a password beyond loopback speak TLS, to servers that they verify",
}


#: Shortest reason of an exception, as in the policies' configuration.
_SHORTEST_REASON: Final = 10


def excused(server: redis.Configuration, finding: Finding) -> Finding:
    """Return a finding about the plaintext port with the exception that the configuration itself declares."""
    marker = server.marker
    if marker is None or len(marker.because) < _SHORTEST_REASON:
        return finding
    return replace(finding, until=marker.until, because=marker.because)


def check(host: HostFiles) -> Iterator[Finding]:
    """Find plaintext ports of Redis, Valkey and Sentinel, and passwords that HAProxy sends in plaintext."""
    for server in servers(host):
        yield from _port(server)
        yield from _bus(server)
    yield from _checks(host)


def _port(server: redis.Configuration) -> Iterator[Finding]:
    port, encrypted = server.port, server.encrypted
    if port.value == "0":
        return
    if encrypted:
        problem, fix = f"plaintext port {port.value} is open beside tls-port {server.tls_port.value}", "write 'port 0'"
    elif server.exposed:
        problem = f"plaintext port {port.value} listens beyond loopback, on {' '.join(server.exposed)}"
        fix = "write 'port 0' and a tls-port with certificates, or 'bind 127.0.0.1 -::1'"
    else:
        return
    yield excused(server, _finding("redis-port", server, port, problem, fix))


def _bus(server: redis.Configuration) -> Iterator[Finding]:
    cluster = server.is_on("cluster-enabled", "no") and bool(server.exposed)
    if cluster and not server.is_on("tls-cluster", "no"):
        problem = "the cluster bus speaks plaintext beyond loopback"
        yield _finding("redis-bus", server, server.setting("tls-cluster"), problem, "write 'tls-cluster yes'")
    yield from _replicas(server)
    for keyword in ("replicaof", "slaveof"):
        leader = server.setting(keyword)
        alone = leader.value.lower() in {"", "no"} or is_loopback(leader.value)
        if not alone and not server.is_on("tls-replication", "no"):
            yield _finding(
                "redis-bus", server, leader, "replication to another host in plaintext", "write 'tls-replication yes'"
            )


def _replicas(server: redis.Configuration) -> Iterator[Finding]:
    """Nodes that become replicas, and Sentinels, which dial their servers as replicas dial their primary."""
    if server.is_on("tls-replication", "no"):
        return
    replication, fix = server.setting("tls-replication"), "write 'tls-replication yes'"
    for monitor in server.directives:
        keyword, subject, _, watched, *_ = (*monitor.words, "", "", "", "")
        if keyword == "sentinel" and subject.lower() == "monitor" and watched and not is_loopback(watched):
            problem = "Sentinel speaks plaintext to its servers, passwords included"
            yield _finding("redis-bus", server, redis.Setting((), monitor), problem, fix)
    group = server.is_on("cluster-enabled", "no") or server.setting("min-replicas-to-write", "0").value != "0"
    # Without a plaintext port there is nothing to replicate from in plaintext; who writes `no` says so of other nodes.
    told = replication.directive is not None or server.port.value != "0"
    if group and server.encrypted and server.exposed and told:
        problem = "a node that becomes a replica asks its primary in plaintext"
        yield _finding("redis-bus", server, replication, problem, fix)


def _checks(host: HostFiles) -> Iterator[Finding]:
    for path, text in of_format(host.texts, Format.HAPROXY).items():
        for login in haproxy.parse(text).logins():
            if login.reach is haproxy.Reach.HOST or (login.tls and login.verified):
                continue
            problem = "the health check sends a password in plaintext where others may read it"
            fix = "let it speak TLS (healthCheck.tls: true), or dial 127.0.0.1 through a tunnel"
            if login.tls:
                problem, fix = "the health check tells a password to whoever answers", "write 'verify required'"
            yield Finding(
                rule="haproxy-check",
                path=path,
                line=login.directive.line,
                value=str(login.directive),
                problem=problem,
                fix=fix,
            )


def _finding(rule: str, server: redis.Configuration, setting: redis.Setting, problem: str, fix: str) -> Finding:
    directive = setting.directive
    return Finding(
        rule=rule,
        path=directive.path if directive else server.path,
        line=directive.line if directive else None,
        value=str(directive or ""),
        problem=problem,
        fix=fix,
    )
