"""TCP load balancing by HAProxy."""

from components.haproxy_load_balancer.component import HaproxyLoadBalancer, HaproxyLoadBalancerArgs
from components.haproxy_load_balancer.settings import (
    Backend,
    Balance,
    Bind,
    DefaultServer,
    Frontend,
    HaproxySettings,
    HealthCheck,
    LogLevel,
    OnError,
    Peer,
    Peers,
    Protocol,
    Server,
    Stick,
    StickBy,
    Timeouts,
)

__all__ = [
    "Backend",
    "Balance",
    "Bind",
    "DefaultServer",
    "Frontend",
    "HaproxyLoadBalancer",
    "HaproxyLoadBalancerArgs",
    "HaproxySettings",
    "HealthCheck",
    "LogLevel",
    "OnError",
    "Peer",
    "Peers",
    "Protocol",
    "Server",
    "Stick",
    "StickBy",
    "Timeouts",
]
