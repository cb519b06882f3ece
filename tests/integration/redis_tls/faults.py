"""Faults of a primary under Sentinel, and what a client feels of each."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import redis
from redis.sentinel import Sentinel

from lab.machine import LabHost
from tests.integration import support
from tests.integration.redis_tls.stack import HOSTS, NEVER_AGAIN, Stack

GROUP: Final = "orders"
CONFIGURATION: Final[dict[str, Any]] = {
    "topology": "sentinel",
    "name": GROUP,
    "nodes": [{"host": f"redis{number}"} for number in (1, 2, 3)],
}
_UNIT: Final = "redis-server"
_SILENCE_S: Final = 0.5  # that a client waits for a Sentinel or a server on its own network
_ALL_REPLICAS: Final = 2


def sentinel(stack: Stack) -> Any:
    """A client that asks Sentinels where the primary is."""
    # Else the client's own patience is measured: pauses of up to ten seconds between its tries, five for a connection.
    impatient = {"retry": NEVER_AGAIN, "socket_timeout": _SILENCE_S, "socket_connect_timeout": _SILENCE_S}
    known = stack.client.options() | impatient | {"username": "app", "password": stack.outputs["passwords"]["app"]}
    watchers = [(each.rpartition(":")[0], 26379) for each in stack.outputs["sentinels"]]
    untyped: Any = Sentinel
    return untyped(watchers, sentinel_kwargs=known, **known)


def primary(stack: Stack) -> str:
    """The host of the primary."""
    address = sentinel(stack).discover_master(GROUP)[0]
    return HOSTS[int(address.rpartition(".")[2]) - 11]


def in_sync(stack: Stack) -> bool:
    """Whether the primary has all its replicas in sync."""
    shown = sentinel(stack).master_for(GROUP).info("replication")
    replicas = [value for key, value in shown.items() if key.startswith("slave") and isinstance(value, dict)]
    return bool(sum(each["state"] == "online" for each in replicas) == len(stack.outputs["endpoints"]) - 1)


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; whoever cannot be asked meanwhile does not count.

    Raises:
        AssertionError: It did not hold in time.
    """

    def answered() -> object:
        with contextlib.suppress(redis.RedisError, OSError):
            return condition()
        return None

    support.wait_for(answered)


@contextmanager
def _killed(stack: Stack, host: LabHost) -> Iterator[None]:
    # Without the mask systemd would have it back before Sentinel notices.
    host.run(f"systemctl mask --runtime {_UNIT} && systemctl kill -s KILL {_UNIT}")
    try:
        yield
    finally:
        host.run(f"systemctl unmask --runtime {_UNIT} && systemctl start {_UNIT}")


@contextmanager
def _restarted(stack: Stack, host: LabHost) -> Iterator[None]:
    host.run(f"systemctl kill -s KILL {_UNIT}")
    yield


@contextmanager
def _lost(stack: Stack, host: LabHost) -> Iterator[None]:
    host.kill()
    try:
        yield
    finally:
        host.start()


@contextmanager
def _frozen(stack: Stack, host: LabHost) -> Iterator[None]:
    with host.frozen(_UNIT):
        yield


@contextmanager
def _cut_off(stack: Stack, host: LabHost) -> Iterator[None]:
    # From clients too: one beside it would go on writing to it, which `minority` looks at.
    others = [stack.address(name) for name in ("redis1", "redis2", "redis3") if name != host.name]
    with host.cut_off_from(stack.gateway, *others):
        yield


@dataclass(frozen=True)
class Fault:
    """Something that happens to a primary.

    Attributes:
        name: What, in a few words.
        cause: Makes it happen, and ends it.
        fails_over: Whether another node has to become the primary; None where that is a matter of moments.
    """

    name: str
    cause: Callable[[Stack, LabHost], AbstractContextManager[None]]
    fails_over: bool | None = True


FAULTS: Final = (
    Fault("primary killed, and back by systemd", _restarted, fails_over=None),
    Fault("primary killed, and kept from coming back", _killed),
    Fault("host lost", _lost),
    Fault("primary stopped (SIGSTOP)", _frozen),
    Fault("primary cut off with a minority", _cut_off),
)


@dataclass
class Writer:
    """An application that counts: through Sentinel, one write after the other, each acknowledged by all replicas.

    Attributes:
        acknowledged: Writes that the primary and all replicas have said to have, and when.
    """

    stack: Stack
    acknowledged: list[tuple[float, int]] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _wanted: int = _ALL_REPLICAS

    def run(self) -> None:
        """Write until it is over."""
        number = 0
        while not self._over.is_set():
            with contextlib.suppress(redis.RedisError, OSError):
                client = sentinel(self.stack).master_for(GROUP)
                while not self._over.is_set():
                    number += 1
                    # In one go: WAIT on another connection than the write's would be told of somebody else's writes.
                    both = client.pipeline(transaction=False).set(f"write:{number}", number).wait(self._wanted, 300)
                    if both.execute()[1] >= self._wanted:
                        self.acknowledged.append((time.monotonic(), number))
            time.sleep(0.02)

    def content_with(self, replicas: int) -> None:
        """From now on take a write for acknowledged with so many replicas: with one node gone, one is all."""
        self._wanted = replicas

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Write beside what happens in the block."""
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            wait_for(lambda: self.acknowledged)
            yield self
        finally:
            self._over.set()
            thread.join()

    @property
    def lost(self) -> list[int]:
        """Acknowledged writes that the primary does not have."""
        client = sentinel(self.stack).master_for(GROUP)
        return [number for _, number in self.acknowledged if client.get(f"write:{number}") is None]


@dataclass(frozen=True)
class Felt:
    """What a client felt of a fault.

    Attributes:
        seconds: From the fault to the first write that was acknowledged again.
        lost: Acknowledged writes that were gone afterwards.
        moved: Whether another node became the primary.
    """

    seconds: float
    lost: list[int]
    moved: bool


def strike(stack: Stack, fault: Fault) -> Felt:
    """Cause a fault of the primary under load, and end it once it is overcome."""
    wait_for(lambda: in_sync(stack))
    former = primary(stack)
    with Writer(stack).writing() as writer:
        time.sleep(0.5)
        start = time.monotonic()
        with fault.cause(stack, stack.host(former)):
            begun = time.monotonic()
            if fault.fails_over:
                writer.content_with(1)
            wait_for(lambda: any(at > begun + 0.05 for at, _ in writer.acknowledged))
            healed = next(at for at, _ in writer.acknowledged if at > begun + 0.05)
            if fault.fails_over:
                wait_for(lambda: primary(stack) != former)
            time.sleep(0.5)
        wait_for(lambda: in_sync(stack))
    return Felt(healed - start, writer.lost, primary(stack) != former)
