"""Which file is read as what: the one table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Final


class Format(StrEnum):
    """Formats that the rules understand."""

    HAPROXY = "haproxy.cfg"
    REDIS = "redis.conf"
    SENTINEL = "sentinel.conf"
    SSHD = "sshd_config"
    SSH = "ssh_config"
    UNIT = "systemd unit"
    AUTHORIZED_KEYS = "authorized_keys"
    KNOWN_HOSTS = "known_hosts"
    KEEPALIVED = "keepalived.conf"
    PATRONI = "Patroni configuration"
    PG_HBA = "pg_hba.conf"
    POSTGRESQL = "postgresql.conf"
    ETCD = "etcd environment"
    PGBACKREST = "pgbackrest.conf"
    HALYARD_SETTINGS = "Halyard's service settings"
    HALYARD_PROFILE = "Halyard's profile"


# Format, path and, where a path says too little, text. The first hit wins. A path may be bare: a key of a ConfigMap.
_TABLE: Final = tuple(
    (kind, re.compile(path), re.compile(text) if text else None)
    for kind, path, text in (
        (Format.UNIT, r"/systemd/system/[^/]+\.(service|socket)$", None),
        (Format.UNIT, r"/systemd/system/[^/]+\.(service|socket)\.d/[^/]+\.conf$", None),
        (Format.HAPROXY, r"(^|/)haproxy/.*\.cfg$", None),
        (Format.HAPROXY, r"(^|/)[^/]*haproxy[^/]*\.cfg$", None),
        # Not /etc/tmpfiles.d/redis.conf and its like.
        (Format.SENTINEL, r"^(?!.*\.d/).*sentinel[^/]*\.conf$", None),
        (Format.REDIS, r"^(?!.*\.d/).*(^|/)(redis|valkey)[^/]*\.conf$", None),
        (Format.REDIS, r"^/etc/(redis|valkey)/.*\.conf$", None),
        (Format.KEEPALIVED, r"(^|/)keepalived[^/]*\.conf$", None),
        (Format.KEEPALIVED, r"^/etc/keepalived/.*\.conf$", None),
        (Format.PATRONI, r"(^|/)patroni/.*\.ya?ml$", None),
        (Format.PATRONI, r"(^|/)patroni(\.d)?/.*\.ya?ml$", None),
        (Format.PATRONI, r"(^|/)[^/]*patroni[^/]*\.ya?ml$", None),
        (Format.PG_HBA, r"(^|/)pg_hba[^/]*\.conf$", None),
        (Format.POSTGRESQL, r"(^|/)postgresql(\.base)?\.conf$", None),
        (Format.POSTGRESQL, r"/postgresql/.*/conf\.d/[^/]+\.conf$", None),
        (Format.ETCD, r"^/etc/default/etcd$", None),
        (Format.ETCD, r"(^|/)etcd[^/]*\.env$", None),
        (Format.PGBACKREST, r"(^|/)pgbackrest(/conf\.d/[^/]+)?\.conf$", None),
        (Format.HALYARD_SETTINGS, r"/service-settings/[^/]+\.ya?ml$", None),
        (Format.HALYARD_PROFILE, r"/profiles/[^/]+-local\.ya?ml$", None),
        (Format.KNOWN_HOSTS, r"known_hosts[^/]*$", None),
        (Format.AUTHORIZED_KEYS, r"authorized_keys[^/]*$", None),
        (Format.AUTHORIZED_KEYS, r"^/etc/ssh/.*\.keys$", None),
        (Format.SSHD, r"^/etc/ssh/sshd_config$", None),
        (Format.SSHD, r"^/etc/ssh/sshd_config\.d/[^/]+\.conf$", None),
        (Format.SSH, r"^/etc/ssh/ssh_config$", None),
        (Format.SSH, r"^/etc/ssh/ssh_config\.d/[^/]+\.conf$", None),
        (Format.SSH, r"/\.ssh/config$", None),
        (Format.SSH, r"^/etc/ssh/", r"(?im)^\s*(host|hostname|(local|remote|dynamic)forward)[\s=]"),
    )
)


@lru_cache(maxsize=4096)
def _candidates(path: str) -> tuple[tuple[Format, re.Pattern[str] | None], ...]:
    return tuple((kind, content) for kind, pattern, content in _TABLE if pattern.search(path))


def format_of(path: str, text: str | None = None) -> Format | None:
    """Recognise a file.

    Args:
        path: Absolute path, or a key of a ConfigMap such as `redis.conf`.
        text: Its text; without it only the path counts.
    """
    for kind, content in _candidates(path):
        if content is None or (text is not None and content.search(text)):
            return kind
    return None


def of_format(files: Mapping[str, str], *formats: Format) -> dict[str, str]:
    """Pick the files of some formats, sorted by path."""
    return {path: files[path] for path in sorted(files) if format_of(path, files[path]) in formats}
