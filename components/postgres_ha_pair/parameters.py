"""What PostgreSQL is told, by version: settings in, parameters out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from components.postgres_ha_pair.settings import PostgresHaSettings, kilobytes

#: A parameter's value as YAML and postgresql.conf write it.
Value = str | int | float | bool

TLS: Final = "/etc/postgres-pair/tls"
_TLS13_CIPHERS_SINCE: Final = 18

# What Patroni decides by itself (patroni/postgresql/config.py).
_PATRONIS: Final = (
    "cluster_name",
    "data_directory",
    "hba_file",
    "hot_standby",
    "ident_file",
    "primary_conninfo",
    "primary_slot_name",
    "recovery_target_timeline",
    "restore_command",
    "synchronous_standby_names",
)
# What follows from a setting, by its property path.
_SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "backup": ("archive_mode", "archive_command"),
    "backup.archiveTimeout": ("archive_timeout",),
    "connections.idleInTransaction": ("idle_in_transaction_session_timeout",),
    "connections.limit": ("max_connections",),
    "connections.port": ("port",),
    "connections.reserved": ("superuser_reserved_connections",),
    "memory.effectiveCacheSize": ("effective_cache_size",),
    "memory.maintenanceWorkMem": ("maintenance_work_mem",),
    "memory.sharedBuffers": ("shared_buffers",),
    "memory.workMem": ("work_mem",),
    "nodes[].address, virtualIp or virtualAddresses": ("listen_addresses",),
    "replication.timeout": (
        "tcp_keepalives_idle",
        "tcp_keepalives_interval",
        "tcp_keepalives_count",
        "tcp_user_timeout",
        "wal_sender_timeout",
        "wal_receiver_timeout",
    ),
    "wal.checkpointTimeout": ("checkpoint_timeout",),
    "wal.compression": ("wal_compression",),
    "wal.keepSize": ("wal_keep_size",),
    "wal.maxSize": ("max_wal_size",),
    "wal.minSize": ("min_wal_size",),
    "wal.slotLimit": ("max_slot_wal_keep_size",),
}
# What may be given in place of this component's own value.
_FREE: Final = (
    "checkpoint_completion_target",
    "log_checkpoints",
    "log_line_prefix",
    "log_lock_waits",
    "max_replication_slots",
    "max_wal_senders",
)
# What the standby, its copy and backups need of each.
_SENDERS: Final = 10


def parameters(settings: PostgresHaSettings) -> dict[str, Value]:
    """Return the parameters of both servers, which Patroni keeps in etcd.

    Args:
        settings: What the servers are told.
    """
    wal, connections, silence = settings.wal, settings.connections, settings.replication.timeout
    return {
        "max_connections": connections.limit,
        "superuser_reserved_connections": connections.reserved,
        "idle_in_transaction_session_timeout": connections.idle_in_transaction,
        # A peer that is silently gone is noticed within seconds, on both ends of a connection.
        "tcp_keepalives_idle": silence,
        "tcp_keepalives_interval": 1,
        "tcp_keepalives_count": 3,
        "tcp_user_timeout": f"{silence}s",
        "wal_level": "replica",
        "wal_log_hints": "on",
        "wal_compression": wal.compression,
        "max_wal_size": wal.max_size,
        "min_wal_size": wal.min_size,
        "wal_keep_size": wal.keep_size,
        "max_slot_wal_keep_size": wal.slot_limit,
        "max_wal_senders": _SENDERS,
        "max_replication_slots": _SENDERS,
        "checkpoint_timeout": wal.checkpoint_timeout,
        "checkpoint_completion_target": 0.9,
        "wal_sender_timeout": f"{silence}s",
        "wal_receiver_timeout": f"{silence}s",
        "wal_receiver_status_interval": "1s",
        **_archiving(settings),
        "password_encryption": "scram-sha-256",
        "log_checkpoints": "on",
        "log_lock_waits": "on",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        **settings.parameters,
    }


def _archiving(settings: PostgresHaSettings) -> dict[str, Value]:
    """WAL leaves the host only for a repository that takes it."""
    if settings.backup is None:
        return {"archive_mode": "off"}
    return {
        "archive_mode": "on",
        "archive_command": f"pgbackrest --stanza={settings.name} archive-push %p",
        "archive_timeout": settings.backup.archive_timeout,
    }


def encryption(settings: PostgresHaSettings) -> dict[str, Value]:
    """Return the parameters of TLS, which each server has from its own files (config.sgml, "SSL").

    Args:
        settings: What the servers are told.
    """
    known: dict[str, Value] = {
        "ssl": "on",
        "ssl_cert_file": f"{TLS}/node.crt",
        "ssl_key_file": f"{TLS}/node.key",
        "ssl_ca_file": f"{TLS}/root.crt",
        "ssl_min_protocol_version": "TLSv1.2",
        "ssl_ciphers": "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL",
        "ssl_prefer_server_ciphers": "on",
        "unix_socket_directories": "/var/run/postgresql",
        "logging_collector": "off",
    }
    if settings.version >= _TLS13_CIPHERS_SINCE:
        known["ssl_tls13_ciphers"] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
    return known


def refused(settings: PostgresHaSettings) -> Iterator[tuple[str, str]]:
    """Yield the further parameters that are not a person's to set like this, and what to do instead.

    Args:
        settings: The pair.
    """
    by_setting = {name: path for path, names in _SETTINGS.items() for name in names}
    plain = settings.model_copy(update={"parameters": {}})
    fixed = {*parameters(plain), *encryption(plain)} - {*_FREE}
    for name, value in settings.parameters.items():
        if name in by_setting:
            yield name, f"it follows from a setting: use {by_setting[name]}"
        elif name in _PATRONIS:
            yield name, "Patroni decides it: remove it"
        elif name == "logging_collector":
            yield name, "the journal has the server's log: remove it, and read `journalctl -u patroni`"
        elif name in fixed:
            yield name, "the pair's TLS, passwords or failover depend on it as it is: remove it"
        elif name in ("max_wal_senders", "max_replication_slots") and not _at_least(value, _SENDERS):
            yield name, f"{value} is too few for the standby, its copy and backups: give {_SENDERS} or more"


def _at_least(value: Value, least: int) -> bool:
    return str(value).isdecimal() and int(value) >= least


def dynamic(settings: PostgresHaSettings) -> dict[str, object]:
    """Return what Patroni keeps in etcd for both nodes ("Dynamic Configuration Settings").

    Args:
        settings: The pair.
    """
    failover = settings.failover
    return {
        "ttl": failover.ttl,
        "loop_wait": failover.loop_wait,
        "retry_timeout": failover.retry_timeout,
        "primary_start_timeout": failover.primary_start_timeout,
        "primary_stop_timeout": 10,
        "maximum_lag_on_failover": kilobytes(failover.maximum_lag) * 1024,
        "check_timeline": True,
        "synchronous_mode": True,
        "synchronous_mode_strict": settings.replication.mode == "strict",
        "failsafe_mode": True,
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            # A former primary that cannot be rewound is copied anew.
            "remove_data_directory_on_rewind_failure": True,
            "remove_data_directory_on_diverged_timelines": True,
            "parameters": parameters(settings),
        },
    }
