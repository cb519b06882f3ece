"""The files of a node: settings in, text out."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from components.redis_tls_cluster.settings import (
    DEFAULT,
    MANAGER,
    REPLICATION,
    SENTINEL,
    RedisTlsSettings,
    Topology,
)
from components.templates import Templates

_TEMPLATES: Final = Templates(__file__)
_SCRIPTS: Final = Path(__file__).parent / "templates"

# Least rights. Who replicates: redis.io, ACL, "ACL rules for Sentinel and Replicas".
_REPLICATION_RULES: Final = "+psync +replconf +ping"
_SENTINEL_RULES: Final = (
    "allchannels +multi +exec +slaveof +replicaof +ping +subscribe +publish +role +info "
    "+config|rewrite +client|setname +client|kill +script|kill"
)
_MANAGER_RULES: Final = "+ping +info +role +config +acl +client +replicaof +wait"
# redis-cli --cluster moves slots by MIGRATE, and looks at nodes by these.
_CLUSTER_RULES: Final = (
    " ~* +cluster +migrate +restore-asking +restore +dump +del +select +readonly +dbsize +flushall "
    "+function|dump +function|list +function|restore"
)
# On a Sentinel: other Sentinels, who administers, and who looks for the primary.
_PEER_RULES: Final = "allchannels +ping +publish +subscribe +hello +client|setname +sentinel|is-master-down-by-addr"
_OVERSEER_RULES: Final = "+ping +info +role +sentinel +client"
_FINDER_RULES: Final = (
    "allchannels +ping +info +role +subscribe +psubscribe +unsubscribe +punsubscribe +client|setname +client|setinfo "
    "+sentinel|get-master-addr-by-name +sentinel|master +sentinel|masters +sentinel|replicas +sentinel|slaves "
    "+sentinel|sentinels +sentinel|myid +sentinel|ckquorum"
)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Addresses of the whole group.

    Attributes:
        nodes: Of the servers; the first one is the first primary.
        sentinels: Of the Sentinels.
    """

    nodes: tuple[str, ...]
    sentinels: tuple[str, ...] = ()


def place(settings: RedisTlsSettings) -> str:
    """Return the directory of the configuration."""
    return f"/etc/{settings.flavour}"


def library(settings: RedisTlsSettings) -> str:
    """Return the directory of the scripts."""
    return f"/usr/local/lib/{settings.flavour}-tls"


def applied(settings: RedisTlsSettings) -> str:
    """Return the directory of what the running server has read."""
    return f"/run/{settings.flavour}-tls"


def configuration(settings: RedisTlsSettings, address: str | None) -> str:
    """Render redis.conf or valkey.conf.

    Args:
        settings: What the servers are told.
        address: IPv4 or IPv6 address that this one binds; None: every one of its pod, and its name is an argument.
    """
    points = settings.persistence.snapshots
    return _TEMPLATES.render(
        "redis.conf.j2",
        {
            "settings": settings,
            "address": address,
            "place": place(settings),
            "replication": REPLICATION,
            "snapshots": " ".join(f"{each.seconds} {each.changes}" for each in points) or '""',
            "yes": lambda value: "yes" if value else "no",
        },
    )


def startup(settings: RedisTlsSettings) -> str:
    """Render startup.conf."""
    return _TEMPLATES.render("startup.conf.j2", {"settings": settings, "place": place(settings)})


def sentinel(settings: RedisTlsSettings, address: str | None, group: Group) -> str:
    """Render sentinel.conf.

    Args:
        settings: What the Sentinels are told.
        address: Address that this one binds; None: every one of its pod, which says its name when it starts.
        group: Where the others are.
    """
    values = {"settings": settings, "address": address, "place": place(settings), "primary": group.nodes[0]}
    return _TEMPLATES.render("sentinel.conf.j2", values)


def unit(settings: RedisTlsSettings) -> str:
    """Render the drop-in of the server's unit."""
    return _TEMPLATES.render("server-unit.conf.j2", {"settings": settings, "script": f"{library(settings)}/node"})


def sentinel_unit(settings: RedisTlsSettings) -> str:
    """Render the drop-in of Sentinel's unit."""
    return _TEMPLATES.render("sentinel-unit.conf.j2", {"settings": settings, "script": f"{library(settings)}/node"})


def sysctl() -> str:
    """Return the kernel settings that the server asks for."""
    return _TEMPLATES.render("sysctl.conf", {})


def script(name: str) -> str:
    """Return one of the scripts: `client`, `node`, `group` or `pod`."""
    return (_SCRIPTS / f"{name}.sh").read_text()


def environment(settings: RedisTlsSettings, address: str | None, group: Group) -> str:
    """Render node.env, what the scripts know.

    Args:
        settings: What the servers are told.
        address: Address of this node; None: each pod has its name in its own environment.
        group: Where all are.
    """
    values = {
        "FLAVOUR": settings.flavour.value,
        "TOPOLOGY": settings.topology.value,
        "GROUP": settings.name,
        "ADDRESS": address,
        "PORT": str(settings.tls_port),
        "PRIMARY": group.nodes[0],
        "NODES": " ".join(group.nodes),
        "SENTINELS": " ".join(group.sentinels),
        "SENTINEL_PORT": str(settings.sentinel.port),
        "REPLICAS": str(settings.cluster.replicas),
        "SETTLE_S": str(settings.settle_seconds),
        "PLACE": place(settings),
        "APPLIED": applied(settings),
        "DATA": settings.data,
        "TLS": settings.tls_directory,
        "SYSCTL": sysctl_path(settings),
    }
    quoted = [(name, shlex.quote(value)) for name, value in values.items() if value is not None]
    return _TEMPLATES.render("node.env.j2", {"values": quoted, "library": library(settings)})


def sysctl_path(settings: RedisTlsSettings) -> str:
    """Return where the kernel settings are."""
    return f"/etc/sysctl.d/60-{settings.flavour}-tls.conf"


def users(settings: RedisTlsSettings, passwords: Mapping[str, Sequence[str]]) -> str:
    """Render users.acl (secret).

    Args:
        settings: Who may do what.
        passwords: Every password that an account is let in with.
    """
    manager = _MANAGER_RULES + (_CLUSTER_RULES if settings.topology is Topology.CLUSTER else "")
    rules = {MANAGER: manager}
    if settings.topology is not Topology.STANDALONE:
        rules[REPLICATION] = _REPLICATION_RULES
    if settings.topology is Topology.SENTINEL:
        rules[SENTINEL] = _SENTINEL_RULES
    return _accounts({**rules, **{user.name: " ".join(user.rules) for user in settings.users}}, passwords)


def sentinel_users(settings: RedisTlsSettings, passwords: Mapping[str, Sequence[str]]) -> str:
    """Render sentinel-users.acl (secret): applications find the primary with the account that they have there.

    Args:
        settings: Who may do what.
        passwords: Every password that an account is let in with.
    """
    rules = {MANAGER: _OVERSEER_RULES, SENTINEL: _PEER_RULES}
    return _accounts({**rules, **{user.name: _FINDER_RULES for user in settings.users}}, passwords)


def _accounts(rules: Mapping[str, str], passwords: Mapping[str, Sequence[str]]) -> str:
    lines = [] if DEFAULT in rules else [f"user {DEFAULT} off resetpass resetkeys resetchannels -@all"]
    for name, granted in rules.items():
        hashes = (f"#{hashlib.sha256(each.encode()).hexdigest()}" for each in passwords[name])
        lines.append(f"user {name} on {' '.join(hashes)} {granted}")
    return "".join(f"{line}\n" for line in lines)


def replication_password(password: str) -> str:
    """Render passwords.conf (secret): what a replica tells its primary."""
    return f"masterauth {password}\n"


def sentinel_passwords(settings: RedisTlsSettings, password: str) -> str:
    """Render sentinel.passwords (secret): what a Sentinel tells servers and other Sentinels."""
    name = settings.name
    return (
        f"sentinel auth-user {name} {SENTINEL}\nsentinel auth-pass {name} {password}\n"
        f"sentinel sentinel-user {SENTINEL}\nsentinel sentinel-pass {password}\n"
    )


def digest(*parts: str) -> str:
    """Return a text that changes with any of the parts."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(f"{len(part)}:{part}".encode())
    return whole.hexdigest()
