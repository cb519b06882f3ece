"""Newer minor versions on all three hosts, one after the other, while an application writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.campaigns.postgres_options.conftest import PLAIN
from tests.integration.postgres.stack import HOSTS, NODES, Stack
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

_BACKUP: Final[dict[str, Any]] = {"cipherPass": "only-for-this-test-and-long-enough", "archiveTimeout": "10s"}
_EVERYWHERE: Final = ("etcd-server", "etcd-client", "pgbackrest")
_ON_NODES: Final = ("postgresql-17", "postgresql-client-17", "libpq5", "patroni")
_NEWER: Final = Path(__file__).with_name("newer.sh")
_BACKUP_S: Final = 120
_UPGRADE_S: Final = 600
_ARCHIVED_S: Final = 120


@pytest.fixture(scope="module")
def pair(stack: Stack) -> Iterator[Stack]:
    """A pair with backups, for which there are newer packages on each host."""
    stack.up({**PLAIN, "backup": _BACKUP})
    stack.wait_until_whole()
    wait_for(lambda: "+ 1 backups" in stack.pair("witness", "status").stdout, _BACKUP_S)
    for host in HOSTS:
        stack.host(host).run(["sh", "-s", *packages(host)], stdin=_NEWER.read_text(), timeout=300)
    yield stack
    stack.up(None)
    stack.remove_data()
    for host in HOSTS:
        stack.host(host).run("rm -rf /var/lib/pgbackrest /opt/newer /etc/apt/sources.list.d/newer.list")


def packages(host: str) -> list[str]:
    return [*_EVERYWHERE, *(_ON_NODES if host in NODES else ())]


def versions(pair: Stack, host: str) -> dict[str, str]:
    """Versions of the pair's packages on a host."""
    told = pair.host(host).run(["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *packages(host)]).stdout
    return dict(line.split() for line in told.splitlines())


def upgrade(pair: Stack, host: str) -> None:
    """Bring the newer packages to a host."""
    pair.host(host).run(["postgres-pair", "upgrade"], timeout=_UPGRADE_S)


def outdated(pair: Stack, host: str) -> str:
    """Programs that run and are no longer there."""
    return pair.host(host).run("ls -l /proc/[0-9]*/exe 2>/dev/null | grep -E 'deleted' || :").stdout


def test_the_leader_is_not_upgraded(pair: Stack) -> None:
    refused = pair.pair(pair.leader(), "upgrade", check=False)
    assert refused.stderr == "this node leads: upgrade the other one, run postgres-pair switchover, and come back\n"


def test_nothing_is_upgraded_while_failover_is_off(pair: Stack) -> None:
    leader = pair.leader()
    pair.pair(leader, "pause", "--wait")
    try:
        refused = pair.pair(pair.other(leader), "upgrade", check=False)
        assert "failover is paused" in refused.stderr
    finally:
        pair.pair(leader, "resume", "--wait")


def test_nothing_is_upgraded_while_a_vote_is_away(pair: Stack) -> None:
    pair.host("witness").run("systemctl stop etcd")
    try:
        refused = pair.pair(pair.other(pair.leader()), "upgrade", check=False)
        assert f"https://{pair.addresses['witness']}:2379 is not healthy, and without it" in refused.stderr
    finally:
        pair.host("witness").run("systemctl start etcd")
    assert not any("lab1" in version for version in versions(pair, "db1").values())


def test_all_hosts_are_upgraded_one_after_the_other(pair: Stack) -> None:
    leader = pair.leader()
    standby = pair.other(leader)
    with pair.writing() as written:
        upgrade(pair, standby)
        # Until all three have the same version, pgBackRest on one does not speak to that on another.
        told = pair.pair(standby, "backups", check=False)
        assert "expected value" in told.stdout + told.stderr
        pair.pair(standby, "switchover", "--candidate", standby, "--force")
        pair.wait_until_whole()
        upgrade(pair, leader)
        upgrade(pair, "witness")
    assert written.numbers
    assert written.numbers <= pair.read()
    pair.wait_until_whole()
    assert pair.leader() == standby
    for host in HOSTS:
        assert {version.rpartition("+")[2] for version in versions(pair, host).values()} == {"lab1"}
        assert outdated(pair, host) == ""


def test_backups_go_on_after_it(pair: Stack) -> None:
    pair.postgres(pair.leader(), "SELECT pg_switch_wal()")
    wait_for(lambda: "of WAL wait" not in pair.pair(pair.leader(), "status").stdout, _ARCHIVED_S)
    pair.pair("witness", "backup", "diff")
    for host in HOSTS:
        told = pair.pair(host, "status").stdout.splitlines()
        assert told[0] == "+ member of etcd"
        assert all(line.startswith("+ ") for line in told)


def test_up_changes_nothing_after_it(pair: Stack) -> None:
    assert pair.project.up().unchanged
