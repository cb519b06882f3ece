"""Which pair has which host: a host has one etcd, and one place for what a pair puts on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from weakref import WeakKeyDictionary

from components.errors import ConfigurationError
from components.host import Host
from components.postgres_ha_pair.settings import PostgresHaSettings

#: The pair that each host belongs to so far, and where its settings name the host.
_CLAIMS: Final[WeakKeyDictionary[Host, tuple[PostgresHaSettings, str]]] = WeakKeyDictionary()


def claim(settings: PostgresHaSettings, hosts: Mapping[str, Host], members: Iterable[tuple[str, str]]) -> None:
    """Enter a pair's hosts, unless another pair of the same stack has one of them.

    Args:
        settings: The pair.
        hosts: Hosts by their name in the stack.
        members: Property path and name of each of its hosts.

    Raises:
        ConfigurationError: With the first one that another pair has.
    """
    own = [(path, name, hosts[name]) for path, name in members]
    for path, name, host in own:
        other, there = _CLAIMS.get(host, (settings, ""))
        # The same pair may be described twice: arguments are copied.
        if other != settings:
            text = f"a host has one etcd and one pair, and {there} gives it to {other.name!r}: name another host"
            raise ConfigurationError(path, name, text)
    for path, _, host in own:
        _CLAIMS[host] = (settings, path)
