"""What Spinnaker's services need to speak mutual TLS with Redis, and what that asks of Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pulumi

from components.certificates import Authority
from components.errors import ConfigurationError
from components.host import Host
from components.kubernetes_cluster import KubernetesCluster
from components.redis_tls_cluster import RedisTlsClusterArgs, RedisTlsSettings
from components.redis_tls_cluster.settings import DEFAULT, Topology
from components.spinnaker_redis_mtls.settings import JavaService, SpinnakerRedisSettings

# Spring Session: keyevent channels, for keys that are deleted and that expire; `A` stands for every kind of key event.
_SESSION_EVENTS: Final = "Egx"
_EVERY_KIND: Final = "A"


@dataclass(frozen=True, kw_only=True)
class SpinnakerRedisMtlsArgs:
    """What Spinnaker's services need to speak mutual TLS with Redis.

    Attributes:
        settings: Who takes part, and for whom the configuration is.
        authority: Who signs the services' certificate; Redis trusts it, and is known by it.
        redis_password: Password of Redis' user `default` (secret); default `settings.redis.password`.
        cluster: The cluster in which the services run; default the one that kubectl would take.
        group: Redis, where it is of this stack: it is held against what Spinnaker needs.
        hosts: Hosts by their name in the stack; for `halyard`.
        where: Property path of the settings, for errors; default none.
        after: What has to be there before the services are told of it: Redis.
    """

    settings: SpinnakerRedisSettings
    authority: Authority
    redis_password: pulumi.Input[str] | None = None
    cluster: KubernetesCluster | None = None
    group: RedisTlsClusterArgs | None = None
    hosts: Mapping[str, Host] = field(default_factory=dict)
    where: str = ""
    after: Sequence[pulumi.Resource] = ()

    def __post_init__(self) -> None:
        """Refuse a host that is not there, and a Redis that cannot serve these services.

        Raises:
            ConfigurationError: With the property path, the value and the fix.
        """
        halyard = self.settings.halyard
        if halyard is not None and halyard.host not in self.hosts:
            known = ", ".join(sorted(self.hosts)) or "none"
            raise ConfigurationError(self.path("halyard.host"), halyard.host, f"use a host of the stack: {known}")
        if self.group is not None:
            _serve_spinnaker(self.group.settings, gate=JavaService.GATE in self.settings.services)
            self._leads(self.group.settings)
            self._is_called(self.group)

    def _leads(self, group: RedisTlsSettings) -> None:
        """Refuse a group whose primary moves, where nothing follows it."""
        if group.topology is Topology.SENTINEL and not self.settings.redis.balanced:
            fix = (
                f"the primary of group {group.name!r} moves, and Spinnaker's services do not ask Sentinel: use "
                "standalone, or the address of a load balancer that follows the primary, and balanced: true"
            )
            raise ConfigurationError(self.path("redis.host"), self.settings.redis.host, fix)

    def _is_called(self, group: RedisTlsClusterArgs) -> None:
        """Refuse an address that is in no server's certificate, as far as addresses are known already."""
        redis, known = self.settings.redis, group.names
        if all(isinstance(each, str) for each in known) and redis.host not in known:
            more = "kubernetes.exposure.names" if group.settings.kubernetes else "nodes[].names"
            fix = f"no certificate of group {group.settings.name!r} is for it: add it to {more}, or use {known[0]}"
            raise ConfigurationError(self.path("redis.host"), redis.host, fix)
        if redis.port != group.settings.tls_port and not redis.balanced:
            fix = f"group {group.settings.name!r} speaks TLS on {group.settings.tls_port}: use that"
            raise ConfigurationError(self.path("redis.port"), redis.port, fix)

    def path(self, path: str) -> str:
        """Return the whole property path of a setting."""
        return f"{self.where}.{path}" if self.where else path

    @property
    def password(self) -> pulumi.Input[str] | None:
        """Password of Redis' user `default`; None where it has none."""
        given = self.settings.redis.password
        return given.get_secret_value() if self.redis_password is None and given else self.redis_password


def _serve_spinnaker(redis: RedisTlsSettings, *, gate: bool) -> None:
    """Refuse a group that cannot serve these services."""
    if redis.topology is Topology.CLUSTER:
        fix = "Spinnaker's services ask one server for everything: use standalone or sentinel"
        raise ConfigurationError(f"topology of {redis.name}", redis.topology.value, fix)
    users = [user.name for user in redis.users]
    if DEFAULT not in users:
        fix = f"Spinnaker's services send a password and no name: add a user {DEFAULT!r}"
        raise ConfigurationError(f"users of {redis.name}", users, fix)
    events = redis.keyspace_events
    implied = "gx" if _EVERY_KIND in events else ""
    if gate and (missing := [each for each in _SESSION_EVENTS if each not in events + implied]):
        fix = f"Gate's sessions need them, and Gate must not set them: add {''.join(missing)!r}"
        raise ConfigurationError(f"keyspaceEvents of {redis.name}", events, fix)
