"""A load balancer's view of a group: only its primary is up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pulumi

from components.errors import ConfigurationError
from components.haproxy_load_balancer import Backend, DefaultServer, HealthCheck, Protocol, Server
from components.names import is_address
from components.redis_tls_cluster.settings import RedisTlsSettings, Topology

# What is promoted is up after one answer. What is demoted is down after two, so that one slow answer cuts nobody off.
_FOLLOWS: Final = DefaultServer(
    inter="500ms",
    fastinter="250ms",
    downinter="500ms",
    rise=1,
    slowstart=None,
    on_marked_down="shutdown-sessions",
)


def primary_backend(
    settings: RedisTlsSettings,
    addresses: Sequence[pulumi.Input[str]],
    *,
    user: str,
    password: str,
    path: Callable[[str], str],
) -> Backend:
    """Return a backend of HAProxy that leads to the primary; see `RedisTlsClusterArgs.primary_backend`.

    Args:
        settings: The group.
        addresses: Of its nodes, in their order.
        user: Account with which health checks log in.
        password: Variable of its password.
        path: Makes the whole property path of one below the settings.

    Raises:
        ConfigurationError: Where the group has no primary that moves, no such account, or no addresses yet.
    """
    if settings.kubernetes is not None:
        fix = "its servers' names are known in the cluster only: dial them there, or write a backend of what is exposed"
        raise ConfigurationError(path("kubernetes.namespace"), settings.kubernetes.namespace, fix)
    if settings.topology is not Topology.SENTINEL:
        fix = "only with sentinel there is a primary to follow"
        raise ConfigurationError(path("topology"), settings.topology.value, fix)
    if user not in (account.name for account in settings.users):
        raise ConfigurationError(path("users"), user, f"list {{name: {user}, rules: ['+ping', '+info']}}")
    servers: list[Server] = []
    for at, (node, address) in enumerate(zip(settings.nodes, addresses, strict=True)):
        if not isinstance(address, str) or not is_address(address):
            fix = "HAProxy's configuration names it before the host is there: give nodes[].address"
            raise ConfigurationError(path(f"nodes[{at}].address"), None, fix)
        name = settings.common_name(node.host)
        servers.append(Server(name=node.host, address=address, port=settings.tls_port, certificate_name=name))
    return Backend(
        name=settings.name,
        servers=tuple(servers),
        health_check=HealthCheck(protocol=Protocol.REDIS, user=user, password=password, role="master", tls=True),
        default_server=_FOLLOWS,
    )
