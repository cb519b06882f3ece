"""Bind to localhost: nothing of the data tier listens beyond loopback unless that was declared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from policies.parsers import haproxy, openssh, systemd
from policies.parsers.addresses import is_loopback, split_port
from policies.parsers.formats import Format, of_format
from policies.rules.finding import Finding, HostFiles, unreadable
from policies.rules.plaintext import excused
from policies.rules.redis_servers import servers
from policies.rules.tunnels import Forward, clients

RULES: Final = {
    "haproxy-bind": "HAProxy's binds, peers and runtime socket are on loopback; TLS or pass-through needs an exception",
    "redis-bind": "Redis and Valkey listen on loopback, or beyond it with TLS that asks for a client's certificate",
    "tunnel-bind": "the local ends of SSH tunnels listen on loopback",
    "socket-bind": "systemd sockets listen on loopback",
    "unreadable": "HAProxy's and Redis's files can be read",
}
_STREAMS: Final = ("ListenStream", "ListenDatagram", "ListenSequentialPacket")


def check(host: HostFiles) -> Iterator[Finding]:
    """Find listeners that others can reach."""
    yield from _haproxy(host)
    yield from _redis(host)
    yield from _tunnels(host)
    yield from _sockets(host)


def _haproxy(host: HostFiles) -> Iterator[Finding]:
    for path, text in of_format(host.texts, Format.HAPROXY).items():
        configuration = haproxy.parse(text)
        for problem in configuration.problems:
            yield unreadable(path, problem)
        for listener in configuration.listeners():
            if listener.reach is haproxy.Reach.HOST:
                continue
            port = split_port(listener.address)[1] or "PORT"
            spoken = "with TLS" if listener.tls else "without TLS of its own"
            problem_text = f"listens {spoken} where {listener.reach.value} may reach it"
            if listener.reach is haproxy.Reach.UNTOLD:
                problem_text = "listens where the environment or a parent process says; the file does not tell"
            yield Finding(
                rule="haproxy-bind",
                path=path,
                line=listener.directive.line,
                value=str(listener.directive),
                problem=problem_text,
                fix=f"bind 127.0.0.1:{port}, or declare an exception with a reason and an expiry date",
            )


def _redis(host: HostFiles) -> Iterator[Finding]:
    for server in servers(host):
        for path, problem in server.problems:
            yield unreadable(path, problem)
        for include in server.unread:
            if host.holds(include.words[1]):
                continue  # a part with passwords only, or one that is told to be unknown
            yield Finding(
                rule="redis-bind",
                path=include.path,
                line=include.line,
                value=str(include),
                problem="the included file is not part of the role, and may change what listens",
                fix="let the role own it, or leave the include out",
                note=True,
            )
        exposed = " ".join(server.exposed)
        if not exposed:
            continue
        plain, encrypted = server.port.value != "0", server.encrypted
        bind = server.bind.directive
        path, line = (bind.path, bind.line) if bind else (server.path, None)
        value = str(bind) if bind else ""
        absent = "" if bind else " (without a bind line it listens on every interface)"
        if plain:
            finding = Finding(
                rule="redis-bind",
                path=path,
                line=line,
                value=value,
                problem=f"port {server.port.value} listens in plaintext on {exposed}{absent}",
                fix="write 'bind 127.0.0.1 -::1', or 'port 0' beside a tls-port",
            )
            yield excused(server, finding)
        verify = server.setting("tls-auth-clients", "yes")
        if encrypted and verify.value.lower() != "yes":
            yield Finding(
                rule="redis-bind",
                path=verify.directive.path if verify.directive else server.path,
                line=verify.directive.line if verify.directive else None,
                value=str(verify.directive or ""),
                problem=f"tls-port {server.tls_port.value} listens on {exposed} and asks for no client certificate",
                fix="write 'tls-auth-clients yes'",
            )


def _tunnels(host: HostFiles) -> Iterator[Finding]:
    for client in clients(host):
        for forward in client.forwards:
            if forward.bind is None:
                wide = [option for option in client.possible("GatewayPorts") if option and openssh.is_on(option.value)]
                if wide:
                    yield _wide_tunnel(forward, "GatewayPorts yes opens it on every interface")
            elif not is_loopback(forward.bind):
                yield _wide_tunnel(forward, "the tunnel's local end listens beyond loopback")


def _wide_tunnel(forward: Forward, problem: str) -> Finding:
    return Finding(
        rule="tunnel-bind",
        path=forward.path,
        line=forward.line,
        value=forward.text,
        problem=problem,
        fix=f"write 127.0.0.1:{forward.port} as its local end",
    )


def _sockets(host: HostFiles) -> Iterator[Finding]:
    for unit in systemd.units(of_format(host.texts, Format.UNIT)):
        for key in _STREAMS:
            for each in unit.all("Socket", key):
                # A path, an abstract name, vsock and netlink stay on the host; a bare port is on every interface.
                if re.match(r"^(/|@|%|vsock:)", each.value) or is_loopback(split_port(each.value)[0]):
                    continue
                yield Finding(
                    rule="socket-bind",
                    path=each.path,
                    line=each.line,
                    value=str(each),
                    problem="the socket listens beyond loopback",
                    fix=f"write {key}=127.0.0.1:{split_port(each.value)[1]}",
                )
