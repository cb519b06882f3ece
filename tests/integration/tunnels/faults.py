"""Faults of a tunnel, each as one action on one of its two ends.

The tunnel is app1's to worker1. A fault that lasts is over when its action returns; then the time to heal counts from
there, for before nothing could.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lab.machine import LabHost
from tests.integration.tunnels.outage import Client
from tests.integration.tunnels.stack import DIRECT, PORT, Stack, property_of

LASTS_S: Final = 10.0
"""Longer than a tunnel waits for a silent far side."""
_WATCHDOG_S: Final = 9.0
"""By then systemd has missed the supervisor's sign of life."""

_SUPERVISOR: Final = f"$(systemctl show --property MainPID --value {DIRECT})"
_SSH: Final = f"$(pgrep -x ssh -P {_SUPERVISOR})"


@dataclass(frozen=True)
class Fault:
    """One way in which a tunnel fails.

    Attributes:
        name: What is done.
        strike: Does it, and puts it right if it lasts; app1 and worker1 are given.
        lasts: Whether the action takes as long as the fault.
        watched_for: Seconds after the action until the fault may begin to be felt.
        clean: Shell that removes on worker1 what is left when the tunnel has healed.
    """

    name: str
    strike: Callable[[LabHost, LabHost], None]
    lasts: bool = False
    watched_for: float = 0.0
    clean: str | None = None


@dataclass(frozen=True)
class Healing:
    """How a fault ended.

    Attributes:
        seconds: From the fault, or from its end if it lasts, until new connections are served again.
        restarts: How often systemd started the tunnel anew.
        state: What systemd says of its unit afterwards.
    """

    seconds: float
    restarts: int
    state: str

    @property
    def as_it_must(self) -> bool:
        """Whether the tunnel was replaced and its unit has not given up."""
        return self.restarts > 0 and self.state == "active"


def _sessions(client: LabHost) -> str:
    """The sshd processes of the tunnel on the far host."""
    connections = f"ss -Htnp state established 'sport = :22 and dst {client.address}'"
    return f"$({connections} | grep -o 'pid=[0-9]*' | sort -u | cut -d= -f2)"


def _signal_session(signal: str) -> Callable[[LabHost, LabHost], None]:
    return lambda near, far: void(far.run(f"kill -{signal} {_sessions(near)}"))


def _signal_client(signal: str, process: str) -> Callable[[LabHost, LabHost], None]:
    return lambda near, _: void(near.run(f"kill -{signal} {process}"))


def _freeze_unit(near: LabHost, _: LabHost) -> None:
    near.run(["systemctl", "kill", "--signal=STOP", DIRECT])


def _freeze_sshd(_: LabHost, far: LabHost) -> None:
    with far.frozen("ssh.service"):
        time.sleep(LASTS_S)


def _drop_packets(near: LabHost, far: LabHost) -> None:
    with far.cut_off_from(near.address):
        time.sleep(LASTS_S)


def _reboot(_: LabHost, far: LabHost) -> None:
    far.reboot()


def _cut_power(_: LabHost, far: LabHost) -> None:
    far.kill()
    time.sleep(LASTS_S)
    far.start()


_THAW: Final = "systemctl kill --signal=CONT ssh.service"

FAULTS: Final = (
    Fault("peer's sshd session killed", _signal_session("KILL")),
    Fault("client's ssh killed", _signal_client("KILL", _SSH)),
    Fault("client's supervisor killed", _signal_client("KILL", _SUPERVISOR)),
    Fault("peer's sshd session frozen", _signal_session("STOP"), watched_for=3, clean=_THAW),
    Fault("client's ssh frozen", _signal_client("STOP", _SSH), watched_for=3),
    Fault("client's supervisor frozen", _signal_client("STOP", _SUPERVISOR), watched_for=_WATCHDOG_S),
    Fault("client's supervisor and ssh frozen", _freeze_unit, watched_for=_WATCHDOG_S),
    Fault("peer's whole sshd frozen for 10 s, from its end", _freeze_sshd, lasts=True),
    Fault("packets dropped for 10 s, from their end", _drop_packets, lasts=True),
    Fault("peer rebooted, from when its sshd answers", _reboot, lasts=True),
    Fault("peer without power for 10 s, from when its sshd answers", _cut_power, lasts=True),
)


def strike(stack: Stack, fault: Fault) -> Healing:
    """Cause a fault while a client connects 20 times a second.

    Raises:
        TimeoutError: The tunnel did not heal.
    """
    near, far = stack.host("app1"), stack.host("worker1")
    before = int(property_of(near, DIRECT, "NRestarts"))
    with Client(near, PORT) as client:
        since = time.monotonic()
        fault.strike(near, far)
        if fault.lasts:
            since = time.monotonic()
        seconds = client.healed(since, watched_for=fault.watched_for)
    if fault.clean:
        far.run(fault.clean)
    restarts = int(property_of(near, DIRECT, "NRestarts")) - before
    return Healing(seconds, restarts, property_of(near, DIRECT, "ActiveState"))


def void(_: object) -> None:
    """Drop a result."""
