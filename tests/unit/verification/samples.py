"""A small stack that is sealed, and what its hosts tell; tests break one thing at a time."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, Final

from verification.facts import Account, Facts, Listener, Session, Stat
from verification.model import Admission, Balancer, Cache, Endpoint, File, Host, Role, Stack, Tunnels

OWN: Final = "/etc/ssh/sealed-data-tier/tunnel"
DROP_IN: Final = "/etc/ssh/sshd_config.d/50-tunnel.conf"
UNIT: Final = "tunnel.service"
LOCAL: Final = Endpoint("127.0.0.1", 30379)
SOCKET: Final = "/run/haproxy/admin.sock"

SSHD: Final = """\
Match User tunnel
    AllowTcpForwarding local
    PermitOpen 127.0.0.1:30379
    PermitTTY no
    ForceCommand /usr/sbin/nologin
Match all
"""
EFFECTIVE: Final = {
    "allowtcpforwarding": "local",
    "permitopen": "127.0.0.1:30379",
    "permittty": "no",
    "forcecommand": "/usr/sbin/nologin",
}


def text_file(text: str) -> File:
    """A reviewed file."""
    return File(text=text, mode="0644", owner="root:root")


def secret_file(text: str) -> File:
    """A secret file."""
    return File(text=text, mode="0600", owner="root:root", secret=True)


APPLICATION: Final = Host(
    name="app",
    address="192.0.2.11",
    roles=(
        Role(
            name="app-tunnels",
            files={f"{OWN}/known_hosts": text_file("one\ntwo\n"), f"{OWN}/id_ed25519": secret_file("a key\n")},
            directories={OWN: ("0755", "root:root")},
            users=("tunnel",),
            units=(UNIT,),
        ),
    ),
    tunnels=(Tunnels(user="tunnel", units=(UNIT,), key="a key\n"),),
    listeners={LOCAL: "ssh"},
)
BALANCER: Final = Host(
    name="lb",
    address="192.0.2.12",
    roles=(Role(name="lb-account", files={DROP_IN: text_file(SSHD)}, users=("tunnel",), units=("ssh.service",)),),
    admissions=(Admission(user="tunnel", clients=("app",)),),
    balancers=(Balancer(socket=SOCKET),),
    listeners={LOCAL: "haproxy"},
    targets=frozenset({LOCAL}),
)
OUTSIDER: Final = Host(name="outsider", address="192.0.2.13")
STACK: Final = Stack(
    hosts={host.name: host for host in (APPLICATION, BALANCER, OUTSIDER)},
    caches=(Cache(name="cache", applications={"app": LOCAL}, password="not told"),),
)


def listener(address: str, port: int, *processes: str, protocol: str = "tcp") -> Listener:
    """Something that listens."""
    return Listener(protocol=protocol, endpoint=Endpoint(address, port), processes=processes)


def unit(**changes: str) -> dict[str, str]:
    """A unit that is well."""
    well = {
        "LoadState": "loaded",
        "ActiveState": "active",
        "SubState": "running",
        "UnitFileState": "enabled",
        "Result": "success",
        "NRestarts": "0",
        "StatusText": "up, traffic passes",
        "ActiveEnterTimestampMonotonic": "5000000",
    }
    return {**well, **changes}


def facts_of(host: Host) -> Facts:
    """What a host tells that is exactly as declared."""
    files = host.files
    return Facts(
        listeners=tuple(listener(each.address, each.port, process) for each, process in host.listeners.items()),
        interfaces=(f"{host.address}/24",),
        stats={
            **{path: Stat(kind="regular file", mode=file.mode, owner=file.owner) for path, file in files.items()},
            **{
                path: Stat(kind="directory", mode=mode, owner=owner) for path, (mode, owner) in host.directories.items()
            },
        },
        sums={path: hashlib.sha256((file.text or "").encode()).hexdigest() for path, file in files.items()},
        texts={path: file.text or "" for path, file in files.items() if not file.secret},
        names=frozenset(path for path in files if path.startswith(OWN)),
        units={name: unit() for name in host.units},
        uptime=100.0,
        accounts={user: Account(shell="/usr/sbin/nologin", locked=True) for user in host.users},
        sshd={(each.user, "192.0.2.1"): EFFECTIVE for each in host.admissions},
        sessions={each.socket: (Session(source="unix:1", frontend="GLOBAL"),) for each in host.balancers},
    )


def with_host(**changes: Any) -> Stack:
    """The stack with another load balancer."""
    hosts = {**STACK.hosts, "lb": replace(BALANCER, **changes)}
    return replace(STACK, hosts=hosts)


def resource(kind: str, name: str, *, parent: str = "", **properties: Any) -> dict[str, Any]:
    """A resource as a state has it."""
    return {"urn": urn(kind, name), "type": kind, "parent": parent, **properties}


def urn(kind: str, name: str) -> str:
    """The URN of a resource."""
    return f"urn:pulumi:test::project::{kind}::{name}"


def secret(plaintext: str) -> dict[str, str]:
    """A secret as a state has it."""
    return {
        "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
        "plaintext": plaintext,
    }
