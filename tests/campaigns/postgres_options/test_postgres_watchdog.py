"""The watchdog, as far as hosts without one can show it: with a file or a device without a driver in its place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from lab.machine import LabHost
from tests.campaigns.postgres_options.conftest import PLAIN
from tests.integration.postgres.stack import NODES, Stack
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

_REQUIRED: Final[dict[str, Any]] = {**PLAIN, "watchdog": "required"}
_WATCHDOG: Final = "/dev/watchdog"
_HELD_S: Final = 30
_FED: Final = "/run/watchdog-fed"
_OVERRIDE: Final = "/etc/postgres-pair/patroni.d/99-test.yml"
_TTL_S: Final = 20
_MARGIN_S: Final = 5
_WHOLE_S: Final = 120


@pytest.fixture(scope="module")
def pair(stack: Stack) -> Iterator[Stack]:
    """A pair without watchdogs."""
    stack.up(PLAIN)
    stack.wait_until_whole()
    yield stack
    stack.up(None)
    stack.remove_data()


@contextmanager
def held(host: LabHost) -> Iterator[None]:
    """Let a program have the file in the watchdog's place."""
    script = f"exec 3>{_WATCHDOG}; exec sleep infinity"
    host.run(["systemd-run", "-q", "--unit=watchdogd", "sh", "-c", script])
    try:
        wait_for(lambda: host.run(["test", "-e", _WATCHDOG], check=False).returncode == 0, _HELD_S)
        yield
    finally:
        host.run(f"systemctl stop watchdogd; rm -f {_WATCHDOG}")


@contextmanager
def without_driver(host: LabHost) -> Iterator[None]:
    """Let there be a watchdog's device that nothing answers for."""
    host.run(["mknod", _WATCHDOG, "c", "10", "130"])
    try:
        yield
    finally:
        host.run(["rm", "-f", _WATCHDOG])


def refused(pair: Stack) -> str:
    """What an `up` says that wants a watchdog; the pair is as before."""
    outcome = pair.up(_REQUIRED, check=False)
    assert outcome.code != 0
    assert pair.whole()
    return outcome.text


def status(pair: Stack, host: str) -> list[str]:
    return pair.pair(host, "status").stdout.splitlines()


def owner(host: LabHost) -> str:
    return host.run(["stat", "-c", "%U", _WATCHDOG]).stdout.strip()


def test_there_is_none(pair: Stack) -> None:
    for host in NODES:
        assert f"+ without a watchdog: no {_WATCHDOG}" in status(pair, host)
    assert f"watchdog: required, and there is no {_WATCHDOG}: modprobe softdog" in refused(pair)


def test_somebody_else_has_it(pair: Stack) -> None:
    with held(pair.host("db1")):
        assert any(
            line.startswith("- without a watchdog: sleep, process ")
            and line.endswith("stop it, and do not start it again")
            for line in status(pair, "db1")
        )
        assert f", has {_WATCHDOG}: stop it, and do not start it again" in refused(pair)


def test_it_has_no_driver(pair: Stack) -> None:
    with without_driver(pair.host("db1")):
        assert f"{_WATCHDOG} has no driver: load that of the hardware, or modprobe softdog" in refused(pair)
        assert f"- without a watchdog: {_WATCHDOG} has no driver" in "\n".join(status(pair, "db1"))


def test_a_leader_feeds_it(pair: Stack) -> None:
    pair.up(PLAIN)
    leader = pair.leader()
    host, standby = pair.host(leader), pair.other(leader)
    # Patroni's driver for tests writes to a pipe what it would ask of a device.
    host.run(f"mkfifo -m 600 {_WATCHDOG} && chown postgres {_WATCHDOG} && rm -f {_FED}")
    host.run(["systemd-run", "-q", "--unit=watchdog-pipe", "sh", "-c", f"while :; do cat {_WATCHDOG} >> {_FED}; done"])
    host.run(f"printf 'watchdog:\n  driver: testing\n' > {_OVERRIDE} && systemctl restart patroni")
    try:
        pair.wait_until_whole()
        if pair.leader() != leader:
            pair.pair(leader, "switchover", "--candidate", leader, "--force")
            pair.wait_until_whole()
        assert "+ the watchdog is active" in status(pair, leader)
        assert fed(host).startswith(f"Ctimeout={_TTL_S - _MARGIN_S}\n1")
        with frozen(host):
            wait_for(lambda: is_hungry(host), _TTL_S)
        pair.wait_until_whole()
        if pair.leader() == leader:
            pair.pair(leader, "switchover", "--candidate", standby, "--force")
        wait_for(lambda: fed(host).endswith("V"), _WHOLE_S)
    finally:
        host.run(f"systemctl stop watchdog-pipe; rm -f {_WATCHDOG} {_OVERRIDE}; systemctl restart patroni")
        pair.wait_until_whole()


@contextmanager
def frozen(host: LabHost) -> Iterator[None]:
    """Freeze Patroni, and let its server run."""
    host.run("systemctl kill --kill-whom=main --signal=STOP patroni")
    try:
        yield
    finally:
        host.run("systemctl kill --kill-whom=main --signal=CONT patroni")


def fed(host: LabHost) -> str:
    """What was written to the watchdog."""
    return host.run(["cat", _FED], check=False).stdout


def is_hungry(host: LabHost) -> bool:
    """Whether nothing comes for some rounds."""
    before = fed(host)
    host.run(["sleep", "4"])
    return fed(host) == before


def test_patroni_gets_it_and_gives_it_back(pair: Stack) -> None:
    pair.up(PLAIN)
    standby = pair.other(pair.leader())
    host = pair.host(standby)
    with without_driver(host):
        host.run("systemctl restart patroni")
        pair.wait_until_whole()
        assert owner(host) == "postgres"
        host.run("systemctl stop patroni")
        assert owner(host) == "root"
        host.run("systemctl start patroni")
        pair.wait_until_whole()
        # One that cannot be opened keeps nobody from leading.
        pair.pair(standby, "switchover", "--candidate", standby, "--force")
        pair.wait_until_whole()
        assert pair.leader() == standby
