"""Tunnel hardening: both ends of an SSH tunnel, its keys and its unit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from policies.rules import tunnel_client, tunnel_server, tunnel_unit
from policies.rules.finding import Finding, HostFiles

RULES: Final = {
    "tunnel-client": "ssh knows its server, asks nobody, and ends when its tunnel is dead",
    "tunnel-known-hosts": "the known_hosts of a tunnel comes with it and pins hosts by name",
    "tunnel-server": "sshd lets the tunnels' account forward to declared targets and do nothing else",
    "tunnel-key": "an authorized key may forward to declared targets, from one client, and do nothing else",
    "tunnel-unit": "a tunnel's unit never gives up, is sandboxed, and gets its key as a credential",
    "tunnel-user": "the tunnels' account has no shell",
    "unreadable": "the files of OpenSSH and systemd can be read",
}


def check(host: HostFiles) -> Iterator[Finding]:
    """Find what is soft about tunnels."""
    yield from tunnel_client.check(host)
    yield from tunnel_server.check(host)
    yield from tunnel_unit.check(host)
