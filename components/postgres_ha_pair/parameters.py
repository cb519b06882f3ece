"""What PostgreSQL is told, by version: settings in, parameters out."""

from __future__ import annotations

from typing import Final

from components.postgres_ha_pair.settings import PostgresHaSettings, kilobytes

#: A parameter's value as YAML and postgresql.conf write it.
Value = str | int | float | bool

TLS: Final = "/etc/postgres-pair/tls"
_TLS13_CIPHERS_SINCE: Final = 18

#: What Patroni decides by itself (patroni/postgresql/config.py), or a file of its own.
_PATRONIS: Final = frozenset(
    (
        "cluster_name",
        "data_directory",
        "hba_file",
        "hot_standby",
        "ident_file",
        "listen_addresses",
        "port",
        "primary_conninfo",
        "primary_slot_name",
        "recovery_target_timeline",
        "restore_command",
        "synchronous_standby_names",
    )
)
# Each host's own: sized there unless they are given.
_SIZED: Final = ("shared_buffers", "effective_cache_size", "maintenance_work_mem", "work_mem")


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
        "max_wal_senders": 10,
        "max_replication_slots": 10,
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


def taken(settings: PostgresHaSettings) -> frozenset[str]:
    """Return the parameters that have a setting of their own, or are not a person's to decide."""
    plain = settings.model_copy(update={"parameters": {}})
    return frozenset((*parameters(plain), *encryption(plain), *_SIZED, *_PATRONIS))


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
