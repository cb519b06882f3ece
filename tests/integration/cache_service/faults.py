"""Faults of one of two workers, each as a context in which it lasts, and what an application host feels of them."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

from lab.machine import LabHost
from tests.integration.tunnels.outage import Client
from tests.integration.tunnels.stack import INSTANCE, PORT, Stack

_ASK: Final = "echo 'show stat' | socat - UNIX-CONNECT:/run/haproxy/admin.sock"
_TUNNEL: Final = INSTANCE.format(1, 30378)


@dataclass(frozen=True)
class Fault:
    """One way in which worker1 fails.

    Attributes:
        name: What is wrong.
        last: Causes it, and puts it right at the end.
    """

    name: str
    last: Callable[[Stack], AbstractContextManager[None]]


@contextmanager
def _no_power(stack: Stack) -> Iterator[None]:
    stack.host("worker1").kill()
    try:
        yield
    finally:
        stack.host("worker1").start()


@contextmanager
def _no_tunnel(stack: Stack) -> Iterator[None]:
    stack.host("lb1").run(["systemctl", "stop", _TUNNEL])
    try:
        yield
    finally:
        stack.host("lb1").run(["systemctl", "start", _TUNNEL])


@contextmanager
def _no_cache(stack: Stack) -> Iterator[None]:
    stack.host("worker1").run(["systemctl", "stop", "cache-service.socket", "cache-service.service"])
    try:
        yield
        listeners = stack.host("lb1").run("ss -Hltnp 'sport = :30378'").stdout
        assert '"ssh"' in listeners, "the tunnel's listener stood all the time, and proved nothing"
    finally:
        stack.host("worker1").run(["systemctl", "start", "cache-service.socket"])


@contextmanager
def _cache_frozen(stack: Stack) -> Iterator[None]:
    with stack.host("worker1").frozen("cache-service.service"):
        yield


FAULTS: Final = (
    Fault("worker without power", _no_power),
    Fault("worker without its tunnel", _no_tunnel),
    Fault("worker without its cache, its tunnel standing", _no_cache),
    Fault("worker with a frozen cache", _cache_frozen),
)


def strike(stack: Stack, fault: Fault) -> float:
    """Cause a fault while an application connects 20 times a second, and wait until both workers serve again.

    Returns:
        Seconds from the fault until the application is served again, by the other worker.
    """
    balancer = stack.host("lb1")
    with Client(stack.host("app1"), PORT) as client:
        since = time.monotonic()
        with fault.last(stack):
            wait_for_worker(balancer, 1, "DOWN")
            seconds = client.healed(since)
        wait_for_worker(balancer, 1, "UP")
        client.healed(time.monotonic())
    return seconds


def wait_for_worker(balancer: LabHost, number: int, status: str) -> None:
    """Wait until HAProxy says of a worker what it should."""
    deadline = time.monotonic() + 60
    while (said := status_of(balancer, number)) != status:
        assert time.monotonic() < deadline, said
        time.sleep(0.2)


def status_of(balancer: LabHost, number: int) -> str:
    """What HAProxy says of a worker: UP, DOWN, or on its way such as `UP 1/2`."""
    rows = csv.DictReader(io.StringIO(balancer.run(_ASK).stdout.removeprefix("# ")))
    (status,) = [row["status"] for row in rows if row["svname"] == f"worker{number}.example.com"]
    return status
