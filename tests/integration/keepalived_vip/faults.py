"""Faults of the load balancer that holds the virtual IP, and what a client and the kernels see of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

from lab.machine import LabHost
from tests.integration.cuts import NO_VRRP, SILENT, cut
from tests.integration.keepalived_vip.pair import Pair
from tests.integration.support import wait_for


class Healing:
    """When a fault that lasts was over.

    Attributes:
        at: Seconds since the epoch; None for a fault that heals by itself.
    """

    at: float | None = None

    def now(self) -> None:
        """It is over."""
        self.at = time.time()


Cause = Callable[[Pair, LabHost, Healing], AbstractContextManager[None]]


@contextmanager
def _host_lost(pair: Pair, host: LabHost, healing: Healing) -> Iterator[None]:
    with pair.without_power(host.name):
        yield
    healing.now()


@contextmanager
def _haproxy_down(pair: Pair, host: LabHost, healing: Healing) -> Iterator[None]:
    host.run("systemctl mask --runtime haproxy && systemctl kill -s KILL haproxy")
    try:
        yield
    finally:
        healing.now()
        host.run("systemctl unmask --runtime haproxy && systemctl start haproxy")


@contextmanager
def _haproxy_frozen(pair: Pair, host: LabHost, healing: Healing) -> Iterator[None]:
    with host.frozen("haproxy"):
        yield
        healing.now()


def _once(command: str) -> Cause:
    @contextmanager
    def cause(pair: Pair, host: LabHost, healing: Healing) -> Iterator[None]:
        host.run(command)
        yield

    return cause


def _cut(rules: str) -> Cause:
    @contextmanager
    def cause(pair: Pair, host: LabHost, healing: Healing) -> Iterator[None]:
        with cut(host, rules) as made:
            yield
        healing.at = made.healed_at

    return cause


@contextmanager
def _keepalived_frozen(pair: Pair, host: LabHost, healing: Healing) -> Iterator[None]:
    with host.frozen("keepalived"):
        yield
        healing.now()


@contextmanager
def _host_frozen(pair: Pair, host: LabHost, healing: Healing) -> Iterator[None]:
    with host.paused():
        yield
        healing.now()


_MAIN: Final = "$(systemctl show -P MainPID keepalived)"


@dataclass(frozen=True)
class Fault:
    """Something that happens to the holder.

    Attributes:
        name: What, in a few words.
        cause: Makes it happen, and ends it.
        lasts: Whether it lasts until it is ended; the others heal by themselves.
    """

    name: str
    cause: Cause
    lasts: bool = True


HOST_LOST: Final = Fault("host lost", _host_lost)
HAPROXY_DOWN: Final = Fault("HAProxy killed, and kept from coming back", _haproxy_down)
HAPROXY_FROZEN: Final = Fault("HAProxy frozen (SIGSTOP)", _haproxy_frozen)
CUT_OFF: Final = Fault("network cut", _cut(SILENT))
VRRP_CUT: Final = Fault("VRRP cut, and nothing else", _cut(NO_VRRP))
KEEPALIVED_KILLED: Final = Fault(
    "keepalived killed, every process", _once("systemctl kill -s KILL --kill-whom=all keepalived"), lasts=False
)
MAIN_KILLED: Final = Fault("keepalived's main process killed", _once(f"kill -KILL {_MAIN}"), lasts=False)
VRRP_KILLED: Final = Fault(
    "keepalived's VRRP process killed", _once(f"kill -KILL $(pgrep -P {_MAIN} -x keepalived)"), lasts=False
)
STOPPED: Final = Fault("keepalived restarted on purpose", _once("systemctl restart keepalived"), lasts=False)
KEEPALIVED_FROZEN: Final = Fault("keepalived frozen (SIGSTOP)", _keepalived_frozen)
HOST_FROZEN: Final = Fault("host frozen", _host_frozen)

FAULTS: Final = (
    HOST_LOST,
    HAPROXY_DOWN,
    HAPROXY_FROZEN,
    CUT_OFF,
    VRRP_CUT,
    KEEPALIVED_KILLED,
    MAIN_KILLED,
    VRRP_KILLED,
    STOPPED,
    KEEPALIVED_FROZEN,
    HOST_FROZEN,
)


@dataclass(frozen=True)
class Felt:
    """What was felt of a fault.

    Attributes:
        seconds: The longest time in which the client had no answer.
        former: Who held the addresses before.
        answered: Hosts that answered the client while it lasted, in turn.
        both: Seconds in which both held the address after it was healed; for one that heals by itself, in all.
        now: Who held the addresses when all was well again.
    """

    seconds: float
    former: str
    answered: list[str]
    both: float
    now: str


def strike(pair: Pair, fault: Fault) -> Felt:
    """Cause a fault of the holder under a client's eyes, and end it once the other one serves."""
    pair.settle()
    former, healing = pair.holder, Healing()
    other = pair.other(former)
    with pair.dialled() as client:
        begun = time.time()
        with fault.cause(pair, pair.hosts[former], healing):
            wait_for(lambda: other in client.answered_since(begun))
            answered = client.answered_since(begun)
            time.sleep(1 if fault.lasts else 0)
        pair.settle()
    return Felt(client.answers.longest_gap(), former, answered, pair.both_held(healing.at or begun), pair.holder)
