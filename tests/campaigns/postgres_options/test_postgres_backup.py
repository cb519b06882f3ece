"""Backups in the witness's repository, and the whole pair back at a point in time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.campaigns.postgres_options.conftest import PLAIN
from tests.integration.postgres.stack import DATABASE, NODES, Stack
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

_PASSPHRASE: Final = "only-for-this-test-and-long-enough"
_BACKUP: Final[dict[str, Any]] = {"cipherPass": _PASSPHRASE, "archiveTimeout": "10s"}
_FIRST_S: Final = 120


@pytest.fixture(scope="module")
def kept(stack: Stack) -> Iterator[Stack]:
    """A pair whose repository has a full backup, of a table with three rows."""
    stack.up({**PLAIN, "backup": _BACKUP})
    stack.wait_until_whole()
    wait_for(lambda: backups(stack), _FIRST_S)
    leader = stack.leader()
    stack.postgres(leader, "CREATE TABLE IF NOT EXISTS kept (number int)", database=DATABASE)
    stack.postgres(leader, "TRUNCATE kept", database=DATABASE)
    stack.postgres(leader, "INSERT INTO kept VALUES (1), (2), (3)", database=DATABASE)
    yield stack
    stack.up(None)
    stack.remove_data()
    stack.host("witness").run("rm -rf /var/lib/pgbackrest")


def backups(pair: Stack) -> list[dict[str, Any]]:
    """What the repository has, oldest first."""
    run = pair.pair("witness", "backups", "--output=json", check=False)
    return list(json.loads(run.stdout)[0]["backup"]) if run.returncode == 0 else []


def now(pair: Stack) -> str:
    """The primary's time."""
    return pair.postgres(pair.leader(), "SELECT clock_timestamp()").stdout.strip()


def rows(pair: Stack, host: str) -> str:
    return pair.postgres(host, "SELECT count(*) FROM kept", database=DATABASE).stdout


def test_backups_are_made_of_whoever_leads(kept: Stack) -> None:
    before = len(backups(kept))
    leader = kept.leader()
    kept.pair(leader, "switchover", "--candidate", kept.other(leader), "--force")
    kept.wait_until_whole()
    kept.pair("witness", "backup", "diff")
    assert [each["type"] for each in backups(kept)][before:] == ["diff"]
    # The servers see the same repository, and tell where backups are made.
    assert "diff backup" in kept.pair("db1", "backups").stdout
    assert "run it on witness" in kept.pair("db1", "backup", check=False).stderr
    assert f"\n+ {before + 1} backups, the newest " in kept.pair("witness", "status").stdout
    timers = kept.host("witness").run("systemctl list-timers --no-legend 'postgres-backup*'").stdout
    assert "postgres-backup@full.service" in timers
    assert "postgres-backup@diff.service" in timers


def test_the_repository_is_encrypted_and_only_the_witness_can_read_it(kept: Stack) -> None:
    witness = kept.host("witness")
    assert witness.run("head -c 8 /var/lib/pgbackrest/backup/ccc/backup.info").stdout == "Salted__"
    assert witness.run("stat -c '%a %U' /etc/pgbackrest/conf.d/secrets.conf").stdout == "600 postgres\n"
    for host in NODES:
        assert kept.host(host).run(["grep", "-rl", _PASSPHRASE, "/etc"], check=False).stdout == ""


def test_strangers_are_refused(kept: Stack) -> None:
    # The application's certificate is of the same authority, and of another name.
    options = {
        "--stanza": "ccc",
        "--repo1-host": kept.addresses["witness"],
        "--repo1-host-type": "tls",
        "--repo1-host-port": "8432",
        "--repo1-host-ca-file": "/root/client/root.crt",
        "--repo1-host-cert-file": "/root/client/client.crt",
        "--repo1-host-key-file": "/root/client/client.key",
        "--config": "/dev/null",
    }
    words = [f"{name}={value}" for name, value in options.items()]
    refused = kept.host("witness").run(["pgbackrest", *words, "repo-ls"], check=False)
    assert refused.returncode != 0
    assert "access denied" in refused.stdout + refused.stderr


def test_archiving_that_fails_is_told(kept: Stack) -> None:
    leader, witness = kept.leader(), kept.host("witness")
    witness.run("systemctl stop pgbackrest.service")
    try:
        kept.postgres(leader, "INSERT INTO kept VALUES (4)", database=DATABASE)
        kept.postgres(leader, "SELECT pg_switch_wal()")
        wait_for(lambda: "of WAL wait for the repository on witness" in kept.pair(leader, "status").stdout, 120)
        assert "- pgbackrest.service does not run" in kept.pair("witness", "status").stdout
    finally:
        witness.run("systemctl start pgbackrest.service")
    wait_for(lambda: "of WAL wait" not in kept.pair(leader, "status").stdout, 120)
    kept.postgres(leader, "DELETE FROM kept WHERE number = 4", database=DATABASE)


def test_the_whole_pair_goes_back_to_a_point_in_time(kept: Stack) -> None:
    leader, before = kept.leader(), now(kept)
    standby = kept.other(leader)
    kept.postgres(leader, "DROP TABLE kept", database=DATABASE)
    kept.postgres(leader, "CREATE TABLE later (number int)", database=DATABASE)
    assert f"{leader} leads" in kept.pair(standby, "restore", "--force", check=False).stderr
    assert "add --force" in kept.pair(leader, "restore", "--time", before, check=False).stderr
    early = kept.pair(leader, "restore", "--time", "2001-01-01 00:00:00+00", "--force", check=False)
    assert "no backup ended before that time" in early.stderr
    kept.pair(leader, "restore", "--time", before, "--force")
    assert kept.leader() == leader
    kept.wait_until_whole()
    for host in NODES:
        assert rows(kept, host) == "3\n"
        assert kept.postgres(host, "SELECT to_regclass('later')", database=DATABASE).stdout == "\n"
        assert kept.postgres(host, "SHOW restore_command").stdout == "\n"
    # What is written from now on is archived, and backed up, as before.
    kept.pair("witness", "backup", "diff")
    assert "\n+ primary, " in kept.pair(leader, "status").stdout
    assert kept.project.up().unchanged


def test_a_restored_pair_fails_over_and_goes_back_again(kept: Stack) -> None:
    leader = kept.leader()
    kept.pair(leader, "switchover", "--candidate", kept.other(leader), "--force")
    kept.wait_until_whole()
    leader, before = kept.leader(), now(kept)
    kept.postgres(leader, "INSERT INTO kept VALUES (5)", database=DATABASE)
    kept.pair(leader, "restore", "--time", before, "--force")
    kept.wait_until_whole()
    assert {rows(kept, host) for host in NODES} == {"3\n"}


def test_what_cannot_be_restored_is_refused_before_anything_stops(kept: Stack) -> None:
    leader, early = kept.leader(), now(kept)
    server = kept.postmaster(leader)
    kept.pair("witness", "backup", "diff")
    last = backups(kept)[-1]["label"]
    for words, told in (
        (("--set", "20010101-000000F"), "20010101-000000F is none of the backups: "),
        (("--set", last, "--time", early), f"{last} ended at "),
        (("--time", "2100-01-01 00:00:00+00"), "2100-01-01 00:00:00+00:00 has not come yet"),
    ):
        assert told in kept.pair(leader, "restore", *words, "--force", check=False).stderr
    assert kept.postmaster(leader) == server
    assert kept.whole()


def test_the_whole_pair_goes_back_to_a_backup(kept: Stack) -> None:
    leader = kept.leader()
    label = backups(kept)[-1]["label"]
    kept.postgres(leader, "INSERT INTO kept VALUES (6)", database=DATABASE)
    kept.pair(leader, "restore", "--set", label, "--force")
    kept.wait_until_whole()
    assert {rows(kept, host) for host in NODES} == {"3\n"}


def test_a_restore_that_failed_is_done_again_with_all_that_there_is(kept: Stack) -> None:
    leader, timeline = kept.leader(), kept.timeline()
    kept.postgres(leader, "INSERT INTO kept VALUES (7)", database=DATABASE)
    # Nothing was written after that time, so that no WAL leads there.
    failed = kept.pair(leader, "restore", "--time", now(kept), "--force", check=False)
    assert "recovery ended before configured recovery target was reached" in failed.stderr
    assert "Failover is paused: mend it, and restore again" in failed.stderr
    kept.pair(leader, "restore", "--force")
    kept.wait_until_whole()
    assert kept.leader() == leader
    assert kept.timeline() > timeline
    assert {rows(kept, host) for host in NODES} == {"4\n"}
    kept.postgres(leader, "DELETE FROM kept WHERE number = 7", database=DATABASE)
