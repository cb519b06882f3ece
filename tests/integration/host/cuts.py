"""Cuts: ways in which a transaction is stopped half-way, at a moment of one's choice, and how the host is put right.

A cut strikes a given time after the runtime has started its work on the host. What it leaves is then met by a plain
`pulumi up`, which has to end where an undisturbed one would have ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, Final

from tests.integration.host.conftest import Target

STATE: Final = "/var/lib/sealed-data-tier"
#: Longer than a whole transaction of the test's role, so that every step of it can be hit.
LONGEST_DELAY_S: Final = 0.8

_WORKING: Final = "pgrep -f '^/?[a-z/]*sh /usr/local/lib/sealed-data-tier/runtime'"
_AT_WORK: Final = f"for _ in $(seq 1500); do {_WORKING} >/dev/null && break; sleep 0.01; done; sleep {{delay}}; "
_SMALL_DISK_KIB: Final = 2000


@dataclass(frozen=True)
class Cut:
    """A way to stop a transaction.

    Attributes:
        name: What happens.
        strike: Does it, a delay in seconds after the runtime began.
        mend: Puts the host right.
        prepare: What the host is like while it happens.
    """

    name: str
    strike: Callable[[Target, float], None]
    mend: Callable[[Target], None]
    prepare: Callable[[Target], AbstractContextManager[object]] = lambda _: ExitStack()


def _on_host(script: str) -> Callable[[Target, float], None]:
    def strike(target: Target, delay: float) -> None:
        target.host.run(_AT_WORK.format(delay=delay) + script, check=False)

    return strike


def _power_off(target: Target, delay: float) -> None:
    target.host.run(_AT_WORK.format(delay=delay), check=False)
    target.host.kill()


def _recovered_at_boot(target: Target) -> None:
    """The boot itself undoes what was half applied, before any service starts."""
    assert target.host.run(f"ls -d {STATE}/journal*", check=False).stdout == ""


def _power_on(target: Target) -> None:
    target.host.start()
    _recovered_at_boot(target)


def _reboot(target: Target, delay: float) -> None:
    target.host.run(_AT_WORK.format(delay=delay), check=False)
    target.host.reboot()
    _recovered_at_boot(target)


def _nothing(_: Target) -> None:
    """The next run finds the host as it was left."""


def _make_room(target: Target) -> None:
    target.host.run(f"rm -f {STATE}/ballast /etc/haproxy/ballast")


def _small_disks(target: Target) -> ExitStack:
    """File systems that a ballast fills in no time: the state's and the configuration's."""
    stack = ExitStack()
    for directory in (STATE, "/etc/haproxy"):
        stack.enter_context(target.host.disk_full(directory, free_kib=_SMALL_DISK_KIB))
    return stack


_FILL: Final = f"for place in {STATE} /etc/haproxy; do cat /dev/zero >$place/ballast 2>/dev/null; done"

KILL: Final = Cut("runtime killed (kill -9)", _on_host(f"kill -9 $({_WORKING})"), _nothing)
LINE: Final = Cut("connection killed", _on_host("kill -9 $(pgrep -u ops -x sshd-session)"), _nothing)
POWER: Final = Cut("power lost", _power_off, _power_on)
REBOOT: Final = Cut("host rebooted", _reboot, _nothing)
DISK: Final = Cut("disk full", _on_host(_FILL), _make_room, _small_disks)
CUTS: Final = (KILL, LINE, POWER, REBOOT, DISK)


@dataclass(frozen=True)
class Result:
    """What came of a cut: whether it hit, and how long the run took that put things right."""

    hit: bool
    seconds: float


def strike_once(target: Target, cut: Cut, config: dict[str, Any], delay: float) -> Result:
    """Change the role, cut the transaction, mend, and run `up` again.

    Raises:
        AssertionError: When that run did not converge.
    """
    target.project.configure(config)
    run = target.project.start("up", "--yes", "--skip-preview")
    cut.strike(target, delay)
    run.communicate(timeout=300)
    cut.mend(target)
    started = time.monotonic()
    target.project.up()
    seconds = time.monotonic() - started
    assert target.remains() == ""
    if config.get("role") is False:
        gone = target.host.run("ls -d /etc/proof; id proof-user", check=False)
        assert gone.stdout == ""
    else:
        assert target.serves(config["port"])
        assert target.host.run("cat /etc/proof/plain").stdout == f"port {config['port']}\n"
        assert target.host.run("stat -c '%a %U' /etc/proof/inner/secret").stdout == "600 proof-user\n"
    assert target.project.up().unchanged
    return Result(run.returncode != 0, seconds)
