"""Health checks of what often serves behind a virtual IP."""

from __future__ import annotations

from typing import Final

from components.haproxy_load_balancer.settings import READINESS
from components.keepalived_vip.rendering import number
from components.keepalived_vip.settings import TrackScript

# In what is left of the interval curl has to begin and to end: keepalived leaves out a run that is due while the one
# before it goes on.
_ANSWER_OF_INTERVAL: Final = 0.6


def haproxy_ready(name: str = "haproxy", *, interval: float = 0.25, fall: int = 2) -> TrackScript:
    """Ask the host's own HAProxy whether it works, a frozen one included; its settings have to say `readiness: true`.

    Backends are left out on purpose: when all of them are down, another load balancer has no others.

    Args:
        name: Name of the check.
        interval: Seconds from one run to the next; HAProxy has to answer within three fifths of it.
        fall: Failures in a row that count.
    """
    limit = number(interval * _ANSWER_OF_INTERVAL)
    command = ("/usr/bin/curl", "-fsS", "-o", "/dev/null", "--max-time", limit, "--unix-socket", READINESS)
    # A busy host that is late to ask says nothing about HAProxy: that is not what the runs are limited by.
    timeout = round(interval * fall, 3)
    return TrackScript(
        name=name, command=(*command, "http://localhost/"), interval=interval, timeout=timeout, fall=fall
    )
