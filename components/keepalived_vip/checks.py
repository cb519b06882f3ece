"""Health checks of what often serves behind a virtual IP."""

from __future__ import annotations

from components.haproxy_load_balancer.rendering import READINESS
from components.keepalived_vip.rendering import number
from components.keepalived_vip.settings import TrackScript


def haproxy_ready(name: str = "haproxy", *, interval: float = 0.25, fall: int = 2) -> TrackScript:
    """Ask the host's own HAProxy whether it works, a frozen one included; its settings have to say `readiness: true`.

    Backends are left out on purpose: when all of them are down, another load balancer has no others.

    Args:
        name: Name of the check.
        interval: Seconds from one run to the next.
        fall: Failures in a row that count.
    """
    limit = number(interval)
    command = ("/usr/bin/curl", "-fsS", "-o", "/dev/null", "--max-time", limit, "--unix-socket", READINESS)
    return TrackScript(name=name, command=(*command, "http://localhost/"), interval=interval, fall=fall)
