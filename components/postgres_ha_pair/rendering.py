"""The files of the pair's hosts: settings in, text out."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Final

import yaml

from components.names import bracketed
from components.postgres_ha_pair.parameters import TLS, dynamic, encryption
from components.postgres_ha_pair.scram import verifier
from components.postgres_ha_pair.settings import (
    PATRONI,
    REPLICATION,
    REWIND,
    BackupSettings,
    FenceSettings,
    PostgresHaSettings,
    login,
    logins,
    seconds,
)
from components.templates import Templates

_TEMPLATES: Final = Templates(__file__)
_SCRIPTS: Final = Path(__file__).parent / "templates"

#: Directories and files on the hosts.
CONFIGURATION: Final = "/etc/postgres-pair/patroni.d"
LIBRARY: Final = "/usr/local/lib/postgres-pair"
IS_LEADER: Final = f"{LIBRARY}/is-leader"
VIRTUAL_IP_HERE: Final = f"{LIBRARY}/virtual-ip-here"
COMMAND: Final = "/usr/local/sbin/postgres-pair"
ETCD: Final = "/etc/etcd"
ETCD_LIBRARY: Final = "/usr/local/lib/patroni-etcd"
SYSCTL: Final = "/etc/sysctl.d/60-postgres-pair.conf"
RUN: Final = "/run/postgres-pair"
ETCD_RUN: Final = "/run/patroni-etcd"
PASSFILE: Final = "/var/lib/postgresql/.pgpass-patroni"
PGBACKREST: Final = "/etc/pgbackrest"
#: Kinds of backups as pgBackRest calls them, and the timers that begin them.
TIMERS: Final = {"full": "postgres-backup-full.timer", "diff": "postgres-backup-differential.timer"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """One host of the pair.

    Attributes:
        name: What it is called in Patroni and etcd.
        address: What it binds, and others dial.
    """

    name: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """All hosts of the pair.

    Attributes:
        nodes: The two servers, the first primary first.
        witness: The third vote.
    """

    nodes: tuple[Place, ...]
    witness: Place

    @property
    def members(self) -> tuple[Place, ...]:
        """The members of etcd."""
        return (*self.nodes, self.witness)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A line of pg_hba.conf.

    Attributes:
        kind: `local` or `hostssl`; there is nothing else here.
        database: Databases, or `replication`.
        users: Roles.
        source: Network in CIDR notation; none for `local`.
        method: How a client proves who it is, with its options.
    """

    kind: str
    database: str
    users: str
    source: str
    method: str

    def __str__(self) -> str:
        """Return the line, in columns."""
        return f"{self.kind:<7} {self.database:<15} {self.users:<47} {self.source:<19} {self.method}"


def rules(settings: PostgresHaSettings, group: Group) -> list[Rule]:
    """Return who is let in (client-auth.sgml, "The pg_hba.conf File").

    Args:
        settings: The pair.
        group: Its hosts.
    """
    replication, rewind = ",".join(logins(REPLICATION)), ",".join(logins(REWIND))
    found = [
        Rule(kind="local", database="all", users="postgres", source="", method="peer"),
        # Patroni looks at its own server by this. It must not depend on a password that only a leader could change.
        Rule(kind="local", database="replication", users=replication, source="", method="peer map=patroni"),
        Rule(kind="local", database="all", users="all", source="", method="scram-sha-256"),
    ]
    for database in settings.databases:
        users = ",".join(logins(database.user)) if settings.given_password(database.user) is None else database.user
        method = "scram-sha-256 clientcert=verify-ca" if database.client_certificate else "scram-sha-256"
        for client in database.clients:
            network = str(ip_network(client))
            found.append(Rule(kind="hostssl", database=database.name, users=users, source=network, method=method))
    method = "scram-sha-256 clientcert=verify-ca"
    for node in group.nodes:
        peer = str(ip_network(node.address))
        found.append(Rule(kind="hostssl", database="replication", users=replication, source=peer, method=method))
        found.append(Rule(kind="hostssl", database="postgres", users=rewind, source=peer, method=method))
    return found


def _yaml(value: object, indent: int) -> str:
    """Write a value as a block of YAML below a key."""
    text = yaml.safe_dump(value, sort_keys=False, width=1000)
    return "".join(f"{' ' * indent}{line}\n" for line in text.splitlines()).rstrip("\n")


def listened(settings: PostgresHaSettings, address: str) -> list[str]:
    """Return the addresses on which the server on this address listens.

    Args:
        settings: The pair.
        address: Of the node.
    """
    loopback = "::1" if ":" in address else "127.0.0.1"
    return [address, *map(str, settings.leader_addresses), loopback]


def configuration(settings: PostgresHaSettings, here: Place, group: Group, allowed: Sequence[str]) -> str:
    """Render 10-pair.yml, Patroni's configuration without its passwords.

    Args:
        settings: The pair.
        here: This node.
        group: All hosts.
        allowed: Addresses and networks from which the nodes come, for calls of the REST API that change something.
    """
    current = settings.passwords.current
    values = {
        "settings": settings,
        "here": here,
        "members": ",".join(f"{bracketed(each.address)}:{settings.etcd.client_port}" for each in group.members),
        "rest": f"{bracketed(here.address)}:{settings.rest_port}",
        "listen": f"{','.join(listened(settings, here.address))}:{settings.connections.port}",
        "connect": f"{bracketed(here.address)}:{settings.connections.port}",
        "allowed": [json.dumps(each) for each in allowed],
        "dynamic": _yaml(dynamic(settings), 4),
        "encryption": _yaml(encryption(settings), 4),
        "rules": rules(settings, group),
        "mapped": logins(REPLICATION),
        "tls": TLS,
        "passfile": PASSFILE,
        "binaries": binaries(settings),
        "patroni": login(PATRONI, current),
        "replication": login(REPLICATION, current),
        "rewind": login(REWIND, current),
    }
    return _TEMPLATES.render("pair.yml.j2", values)


def binaries(settings: PostgresHaSettings) -> str:
    """Return where Debian has the server's programs."""
    return f"/usr/lib/postgresql/{settings.version}/bin"


def upgraded(settings: PostgresHaSettings, *, server: bool) -> list[str]:
    """Return the packages that `postgres-pair upgrade` brings newer versions of.

    Args:
        settings: The pair.
        server: Whether the host is one of the two servers.
    """
    version = settings.version
    return [
        *("etcd-server", "etcd-client"),
        *((f"postgresql-{version}", f"postgresql-client-{version}", "libpq5", "patroni") if server else ()),
        *(("pgbackrest",) if settings.backup else ()),
    ]


def passwords(current: Mapping[str, str]) -> str:
    """Render 20-passwords.yml (secret): what Patroni tells etcd and the other node.

    Args:
        current: The password in use by account.
    """
    known = {
        "etcd3": {"password": current[PATRONI]},
        "postgresql": {
            "authentication": {
                "replication": {"password": current[REPLICATION]},
                "rewind": {"password": current[REWIND]},
            }
        },
    }
    return str(yaml.safe_dump(known, sort_keys=False))


def accounts(settings: PostgresHaSettings, accepted: Mapping[str, Mapping[int, str]]) -> str:
    """Render accounts.sql (secret): roles with their hashed passwords, and databases. It can be run again at any time.

    Args:
        settings: The pair.
        accepted: Every password that an account is let in with, by its generation. Generation 1 of a given password is
            the only one.
    """

    def roles(account: str) -> list[tuple[str, str]]:
        known = {login(account, generation): password for generation, password in accepted[account].items()}
        both = logins(account) if settings.given_password(account) is None else (account,)
        return [(name, verifier(name, known[name]) if name in known else "") for name in both]

    values = {
        "settings": settings,
        "replication": roles(REPLICATION),
        "rewind": roles(REWIND),
        "users": {user: roles(user) for user in settings.users},
    }
    return _TEMPLATES.render("accounts.sql.j2", values)


def facts(settings: PostgresHaSettings, here: Place, group: Group) -> str:
    """Render pair.json, what the command on a node knows of the pair.

    Args:
        settings: The pair.
        here: This node.
        group: All hosts.
    """
    known = {
        "scope": settings.name,
        "name": here.name,
        "address": here.address,
        "nodes": {each.name: each.address for each in group.nodes},
        "etcd": _etcd_urls(settings, group),
        "etcdTls": f"{ETCD}/tls",
        "port": settings.connections.port,
        "restPort": settings.rest_port,
        "virtualAddresses": [str(each) for each in settings.held_addresses],
        "version": settings.version,
        "data": settings.data,
        "binaries": binaries(settings),
        "connections": settings.connections.limit,
        "memory": settings.memory.model_dump(exclude_none=True),
        "adopt": settings.adopt == here.name,
        "watchdog": settings.watchdog.value,
        "repository": group.witness.name if settings.backup else "",
        "bootstrap": settings.backup.bootstrap or "" if settings.backup else "",
        "settleSeconds": settings.settle_seconds,
        "configuration": CONFIGURATION,
        "library": LIBRARY,
        "run": RUN,
        "sysctl": SYSCTL,
        "tls": TLS,
        "packages": upgraded(settings, server=True),
        "member": f"{ETCD_LIBRARY}/member",
    }
    return json.dumps(known, indent=2) + "\n"


def leader_check(settings: PostgresHaSettings, here: Place) -> str:
    """Render is-leader, for whoever moves a virtual IP.

    Args:
        settings: The pair.
        here: This node.
    """
    url = f"https://{bracketed(here.address)}:{settings.rest_port}/primary"
    return _TEMPLATES.render("is-leader.sh.j2", {"url": url, "tls": TLS})


def virtual_ip_here(settings: PostgresHaSettings, here: Place) -> str:
    """Render virtual-ip-here, by which the virtual IP leaves with the leader, but not because Patroni restarts.

    Args:
        settings: The pair.
        here: This node.
    """
    url = f"https://{bracketed(here.address)}:{settings.rest_port}/primary"
    # Half of the lock's time: whoever is silent for longer may have lost it.
    values = {"url": url, "tls": TLS, "port": settings.connections.port, "patience": settings.failover.ttl // 2}
    return _TEMPLATES.render("virtual-ip-here.sh.j2", values)


def unit(settings: PostgresHaSettings) -> str:
    """Render the drop-in of patroni.service."""
    values = {"settings": settings, "command": COMMAND, "configuration": CONFIGURATION}
    return _TEMPLATES.render("patroni-unit.conf.j2", values)


def no_cluster() -> str:
    """Return what keeps Debian's packages from making a cluster of their own."""
    return _TEMPLATES.render("createcluster.conf", {})


def sysctl(settings: PostgresHaSettings) -> str:
    """Render the kernel settings that let a server listen on an address that its host does not have yet."""
    return _TEMPLATES.render("sysctl.conf.j2", {"settings": settings})


def etcd_environment(settings: PostgresHaSettings, here: Place) -> str:
    """Render etcd.env, what etcd is told.

    Args:
        settings: The pair.
        here: This member.
    """
    values = {"settings": settings, "here": here, "tls": f"{ETCD}/tls", "own": bracketed(here.address)}
    return _TEMPLATES.render("etcd.env.j2", values)


def etcd_facts(settings: PostgresHaSettings, here: Place, group: Group) -> str:
    """Render member.env, what the script beside etcd knows.

    Args:
        settings: The pair.
        here: This member.
        group: All hosts.
    """
    client, peer = settings.etcd.client_port, settings.etcd.peer_port
    others = [each for each in group.members if each != here]
    values = {
        "NAME": here.name,
        "SCOPE": settings.name,
        "PEER_URL": f"https://{bracketed(here.address)}:{peer}",
        "CLIENT_URL": f"https://{bracketed(here.address)}:{client}",
        "OTHERS": " ".join(f"https://{bracketed(each.address)}:{client}" for each in others),
        "PEERS": " ".join(f"https://{bracketed(each.address)}:{peer}" for each in others),
        "CLUSTER": ",".join(f"{each.name}=https://{bracketed(each.address)}:{peer}" for each in group.members),
        "DATA": settings.etcd.data_directory,
        "TLS": f"{ETCD}/tls",
        "RUN": ETCD_RUN,
    }
    quoted = [(name, shlex.quote(value)) for name, value in values.items()]
    return _TEMPLATES.render("member.env.j2", {"values": quoted})


def etcd_unit(settings: PostgresHaSettings) -> str:
    """Render etcd.service, in the place of the package's: that one starts a member on its own, in plaintext."""
    values = {"settings": settings, "library": ETCD_LIBRARY, "etcd": ETCD, "run": ETCD_RUN}
    return _TEMPLATES.render("etcd.service.j2", values)


def etcd_leader_unit(settings: PostgresHaSettings) -> str:
    """Render the unit of the witness that brings etcd's leader there."""
    return _TEMPLATES.render("etcd-leader.service.j2", {"settings": settings, "library": ETCD_LIBRARY})


def etcd_users(accepted: Mapping[int, str]) -> str:
    """Render the lines that `member access` reads (secret): logins of Patroni at etcd, with their passwords.

    Args:
        accepted: Its passwords by generation.
    """
    return "".join(f"login {login(PATRONI, generation)} {password}\n" for generation, password in accepted.items())


def pgbackrest_of_node(settings: PostgresHaSettings, here: Place, group: Group) -> str:
    """Render pgbackrest.conf of a server, which sends its WAL.

    Args:
        settings: The pair.
        here: This node.
        group: All hosts.
    """
    values = {"settings": settings, "here": here, "witness": group.witness, "tls": TLS}
    return _TEMPLATES.render("pgbackrest-node.conf.j2", values)


def pgbackrest_of_repository(settings: PostgresHaSettings, here: Place, group: Group) -> str:
    """Render pgbackrest.conf of the witness, which keeps the repository.

    Args:
        settings: The pair.
        here: The witness.
        group: All hosts.
    """
    values = {
        "settings": settings,
        "here": here,
        "nodes": group.nodes,
        "tls": f"{PGBACKREST}/tls",
        "s3": settings.backup.s3 if settings.backup else None,
        "s3_root": f"{PGBACKREST}/tls/s3.crt",
    }
    return _TEMPLATES.render("pgbackrest-repository.conf.j2", values)


def pgbackrest_secrets(backup: BackupSettings) -> str:
    """Render secrets.conf (secret): what opens the repository.

    Args:
        backup: How backups are made.
    """
    lines = ["[global]", f"repo1-cipher-pass={backup.cipher_pass.get_secret_value()}"]
    if backup.s3:
        lines.append(f"repo1-s3-key={backup.s3.key.get_secret_value()}")
        lines.append(f"repo1-s3-key-secret={backup.s3.key_secret.get_secret_value()}")
    return "\n".join(lines) + "\n"


def witness_facts(settings: PostgresHaSettings) -> str:
    """Render witness.json, what the command on the witness knows of its own host.

    Args:
        settings: The pair.
    """
    known = {
        "packages": upgraded(settings, server=False),
        "member": f"{ETCD_LIBRARY}/member",
    }
    return json.dumps(known, indent=2) + "\n"


def repository_facts(settings: PostgresHaSettings, backup: BackupSettings) -> str:
    """Render repository.json, what the command on the witness knows of the backups.

    Args:
        settings: The pair.
        backup: How backups are made.
    """
    known = {
        "stanza": settings.name,
        "directory": "" if backup.s3 else backup.directory,
        "maxAge": seconds(backup.max_age),
        "timers": list(TIMERS.values()),
    }
    return json.dumps(known, indent=2) + "\n"


def backup_unit(settings: PostgresHaSettings) -> str:
    """Render postgres-backup@.service, which makes a backup of the kind that it is started with."""
    return _TEMPLATES.render("backup.service.j2", {"settings": settings})


def backup_timer(settings: PostgresHaSettings, backup: BackupSettings, kind: str) -> str:
    """Render the timer of one kind of backups.

    Args:
        settings: The pair.
        backup: How backups are made.
        kind: `full` or `diff`.
    """
    what, calendar = {"full": ("Full", backup.full), "diff": ("Differential", backup.differential)}[kind]
    unit = f"postgres-backup@{kind}.service"
    return _TEMPLATES.render(
        "backup.timer.j2", {"settings": settings, "what": what, "calendar": calendar, "unit": unit}
    )


def fence_facts(settings: PostgresHaSettings, fence: FenceSettings, here: Place, group: Group) -> str:
    """Render fence.json, what the watcher of the other node knows.

    Args:
        settings: The pair.
        fence: The command.
        here: This node.
        group: All hosts.
    """
    other = next(each for each in group.nodes if each != here)
    known = {
        "scope": settings.name,
        "name": here.name,
        "other": other.name,
        "address": other.address,
        "restPort": settings.rest_port,
        "ports": [settings.rest_port, settings.connections.port, settings.etcd.client_port],
        "root": f"{TLS}/root.crt",
        "etcd": _etcd_urls(settings, group),
        "etcdTls": f"{ETCD}/tls",
        **fence.model_dump(mode="json"),
    }
    return json.dumps(known, indent=2) + "\n"


def fence_unit(settings: PostgresHaSettings) -> str:
    """Render postgres-pair-fence.service."""
    return _TEMPLATES.render("fence.service.j2", {"settings": settings, "script": f"{LIBRARY}/fence"})


def _etcd_urls(settings: PostgresHaSettings, group: Group) -> list[str]:
    return [f"https://{bracketed(each.address)}:{settings.etcd.client_port}" for each in group.members]


def script(name: str) -> str:
    """Return one of the scripts: `pair.py`, `fence.py`, `witness.py` or `member.sh`."""
    return (_SCRIPTS / name).read_text()
