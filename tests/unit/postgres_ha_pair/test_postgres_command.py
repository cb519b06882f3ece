"""What the command on a node computes by itself."""

from __future__ import annotations

import os
import re
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from components.postgres_ha_pair.templates import pair
from components.postgres_ha_pair.templates.witness import Repository

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "postgres"
REPOSITORY: Final = GOLDEN / "backup" / "repository" / "repository.json"
CCC: Final = GOLDEN / "ccc" / "pair.json"

MB = 1024 * 1024
GB = 1024 * MB


@pytest.mark.parametrize(
    ("memory", "buffers", "cache", "maintenance", "work"),
    [
        (GB // 2, "128MB", "384MB", "64MB", "4MB"),
        (16 * GB, "4096MB", "12288MB", "1024MB", "20MB"),
        (512 * GB, "131072MB", "393216MB", "2048MB", "64MB"),
    ],
)
def test_memory_is_sized_by_the_host(memory: int, buffers: str, cache: str, maintenance: str, work: str) -> None:
    assert pair.sized(memory, 200, {}) == {
        "shared_buffers": buffers,
        "effective_cache_size": cache,
        "maintenance_work_mem": maintenance,
        "work_mem": work,
    }


def test_what_is_given_is_not_sized() -> None:
    assert pair.sized(16 * GB, 200, {"shared_buffers": "1GB"})["shared_buffers"] == "1GB"


def test_files_are_merged_as_patroni_does() -> None:
    known = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    pair.merge(known, {"a": {"c": [3]}, "e": {"f": 1}})
    assert known == {"a": {"b": 1, "c": [3]}, "d": 1, "e": {"f": 1}}


@pytest.mark.parametrize(
    ("value", "text"), [(True, "on"), (False, "off"), (0.9, "0.9"), ("it's", "it''s"), ("\\", "\\\\")]
)
def test_parameters_are_spelled_as_their_file_wants(value: object, text: str) -> None:
    assert pair.spelled(value) == text


@pytest.mark.parametrize(
    ("state", "members", "sync", "first"),
    [
        ("running", ["db1"], '{"leader": "db2", "sync_standby": null}', True),
        ("running", ["db1"], '{"leader": "db2", "sync_standby": "db1"}', False),
        ("running", ["db1"], '{"leader": "db1", "sync_standby": null}', False),
        ("running", ["db1", "db2"], '{"leader": "db2", "sync_standby": null}', False),
        ("starting", ["db1"], '{"leader": "db2", "sync_standby": null}', False),
    ],
)
def test_a_node_comes_first_whose_other_alone_may_lead(
    monkeypatch: pytest.MonkeyPatch, state: str, members: list[str], sync: str, first: bool
) -> None:
    told = {"/patroni": {"state": state}, "/cluster": {"members": [{"name": name} for name in members]}}
    here = pair.Pair(CCC)
    monkeypatch.setattr(here, "rest", told.__getitem__)
    monkeypatch.setattr(here, "etcd_value", {"sync": sync}.__getitem__)
    assert here.comes_first() == first


def test_roles_wait_for_no_primary_that_has_its_turn_later(monkeypatch: pytest.MonkeyPatch) -> None:
    here = pair.Pair(CCC)
    monkeypatch.setattr(here, "rest", {"/patroni": {"state": "running", "role": "replica"}}.__getitem__)
    with pytest.raises(pair.Trouble, match="db1 does not follow the primary yet: no replication"):
        here.serves()
    here.accounts()


def test_roles_wait_for_a_server_that_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    here = pair.Pair(CCC)
    monkeypatch.setattr(here, "rest", {"/patroni": {"state": "starting", "role": "replica"}}.__getitem__)
    with pytest.raises(pair.Trouble, match="PostgreSQL on db1: starting"):
        here.accounts()


def test_a_time_says_of_which_zone_it_is() -> None:
    assert pair.moment("2030-01-31 13:00:00+01") == datetime(2030, 1, 31, 12, tzinfo=UTC)
    with pytest.raises(ValueError, match="2030-01-31 12:00:00"):
        pair.moment("2030-01-31 12:00:00")


def ended(label: str, day: int) -> dict[str, Any]:
    return {"label": label, "timestamp": {"stop": int(datetime(2020, 1, day, tzinfo=UTC).timestamp())}}


ENDED: Final = [ended("20200105-000000F", 5), ended("20200105-000000F_20200107-000000D", 7)]
FIRST: Final = ENDED[0]["label"]
SECOND: Final = ENDED[1]["label"]


@pytest.mark.parametrize(
    ("at", "label", "begins"),
    [
        (None, None, SECOND),
        (None, FIRST, FIRST),
        ("2020-01-06 00:00:00+00", None, FIRST),
        ("2020-01-08 00:00:00+00", None, SECOND),
        ("2020-01-08 00:00:00+00", FIRST, FIRST),
    ],
)
def test_a_restore_begins_with_the_last_backup_before_its_time(at: str | None, label: str | None, begins: str) -> None:
    assert pair.restorable(ENDED, pair.moment(at) if at else None, label)["label"] == begins


@pytest.mark.parametrize(
    ("at", "label", "told"),
    [
        (
            "2020-01-05 00:00:00.9+00",
            None,
            "no backup ended before that time: the first one did at 2020-01-05 00:00:00",
        ),
        ("2020-01-06 00:00:00+00", SECOND, f"{SECOND} ended at 2020-01-07 00:00:00+00:00, not before that time: "),
        ("2020-01-06 00:00:00+00", SECOND, f"the last one before it is {FIRST}"),
        ("2200-01-01 00:00:00+00", None, "2200-01-01 00:00:00+00:00 has not come yet"),
        (None, "20200101-000000F", f"20200101-000000F is none of the backups: {FIRST}, {SECOND}"),
    ],
)
def test_what_no_backup_leads_to_is_refused(at: str | None, label: str | None, told: str) -> None:
    with pytest.raises(pair.Trouble) as refused:
        pair.restorable(ENDED, pair.moment(at) if at else None, label)
    assert told in str(refused.value)


def test_nothing_is_restored_of_nothing() -> None:
    with pytest.raises(pair.Trouble, match="there is no backup"):
        pair.restorable([], None)


NOW: Final = 1_895_650_000.0


def backup(age: float, *, error: bool = False) -> dict[str, Any]:
    return {"label": "20300126-010000F", "timestamp": {"stop": NOW - age}, "error": error}


@pytest.mark.parametrize(
    ("backups", "told"),
    [
        ([backup(9e5), backup(60)], ["+ 2 backups, the newest 20300126-010000F"]),
        ([], ["- there is no backup yet: postgres-pair backup full"]),
        (
            [backup(13 * 3600)],
            ["- the newest backup, 20300126-010000F, is 13 hours old: journalctl -u 'postgres-backup@*'"],
        ),
        (
            [backup(60, error=True)],
            [
                "- the backup 20300126-010000F has damaged pages: look at its log",
                "+ 1 backups, the newest 20300126-010000F",
            ],
        ),
    ],
)
def test_a_repository_tells_how_it_is(
    monkeypatch: pytest.MonkeyPatch, backups: list[dict[str, Any]], told: list[str]
) -> None:
    repository = Repository(REPOSITORY)
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(repository, "info", lambda: {"backup": backups})
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0))
    assert list(repository.findings()) == told


@pytest.mark.parametrize("start", ["auto\n", "# how it starts\n\nauto\n", ""])
def test_a_cluster_that_debian_starts_too_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, start: str
) -> None:
    here = with_debians_cluster(monkeypatch, tmp_path, start)
    with pytest.raises(pair.Trouble, match=f"systemctl stop postgresql@17-main, and write `disabled` into {tmp_path}"):
        here.refuse_second_start()


@pytest.mark.parametrize("start", ["disabled\n", "# how it starts\nmanual\n"])
def test_a_cluster_that_debian_leaves_alone_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, start: str
) -> None:
    with_debians_cluster(monkeypatch, tmp_path, start).refuse_second_start()


def with_debians_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, start: str) -> pair.Pair:
    """A node whose data directory is Debian's 17/main, and another cluster beside it."""
    here = pair.Pair(CCC)
    for name, data in (("main", here.data), ("other", "/var/lib/postgresql/17/other")):
        cluster = tmp_path / "17" / name
        cluster.mkdir(parents=True)
        (cluster / "postgresql.conf").write_text(f"# data_directory = ''\ndata_directory = '{data}'\t# a comment\n")
        (cluster / "start.conf").write_text(start if name == "main" else "auto\n")
    monkeypatch.setattr(pair, "_CLUSTERS", tmp_path)
    return here


@pytest.mark.parametrize(
    ("holders", "why"),
    [
        ({1}, "systemd has .*: remove RuntimeWatchdogSec from its system.conf, and reboot"),
        ({os.getpid()}, f"process {os.getpid()}, has .*: stop it, and do not start it again"),
        (set[int](), "has no driver: load that of the hardware, or modprobe softdog"),
        ({4711}, "^$"),  # Patroni itself
    ],
    # Without numbers of processes, which are others in each process of the tests.
    ids=["systemd", "another process", "nobody", "Patroni"],
)
def test_who_has_the_watchdog_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, holders: set[int], why: str
) -> None:
    device = tmp_path / "watchdog"
    device.touch()
    monkeypatch.setattr(pair, "_WATCHDOG", device)
    monkeypatch.setattr(pair, "watchdog_holders", lambda: holders)
    monkeypatch.setattr(pair, "main_process", lambda _: 4711)
    assert re.search(why, pair.Pair(CCC).no_watchdog())
    device.unlink()
    assert "modprobe softdog" in pair.Pair(CCC).no_watchdog()


def test_a_process_that_has_the_watchdog_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pair, "_WATCHDOG", tmp_path / "watchdog")
    assert pair.watchdog_holders() == set()
    with (tmp_path / "watchdog0").open("w"):
        assert pair.watchdog_holders() == {os.getpid()}
