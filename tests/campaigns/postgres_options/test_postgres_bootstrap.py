"""A pair of which both servers are lost, and etcd's majority with them, begins anew with its backups."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.campaigns.postgres_options.conftest import PLAIN
from tests.campaigns.postgres_options.test_postgres_backup import backups, now
from tests.integration.postgres.stack import DATABASE, HOSTS, NODES, Stack
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

_BACKUP: Final[dict[str, Any]] = {"cipherPass": "only-for-this-test-and-long-enough", "archiveTimeout": "10s"}
_DATA: Final = "/var/lib/postgresql/17/ccc"
_FACTS: Final = "/usr/local/lib/postgres-pair/pair.json"
_MARK: Final = "/usr/local/lib/postgres-pair/bootstrap"
_FIRST_S: Final = 120
_ARCHIVED_S: Final = 60
_RESTORED_S: Final = 180


def beginning(bootstrap: str | None = None) -> dict[str, Any]:
    return {**PLAIN, "backup": _BACKUP if bootstrap is None else {**_BACKUP, "bootstrap": bootstrap}}


@pytest.fixture(scope="module")
def lost(stack: Stack) -> Iterator[Stack]:
    """A pair with a backup, a row before it and rows after it, of which both servers are gone, and etcd's data."""
    stack.up(beginning())
    stack.wait_until_whole()
    leader = stack.leader()
    stack.postgres(leader, "CREATE TABLE kept (number int)", database=DATABASE)
    stack.postgres(leader, "INSERT INTO kept VALUES (1)", database=DATABASE)
    wait_for(lambda: backups(stack), _FIRST_S)
    stack.postgres(leader, "INSERT INTO kept VALUES (2), (3)", database=DATABASE)
    archive(stack)
    for host in NODES:
        subprocess.run(["docker", "rm", "--force", stack.host(host).container], check=True, capture_output=True)
    forget_etcd(stack, "witness")
    yield stack
    stack.up(None)
    stack.remove_data()
    stack.host("witness").run("rm -rf /var/lib/pgbackrest")


def archive(pair: Stack) -> None:
    """Let all that was written reach the repository."""
    leader = pair.leader()
    segment = pair.postgres(leader, "SELECT pg_walfile_name(pg_switch_wal())").stdout.strip()
    arrived = f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver"
    wait_for(lambda: pair.postgres(leader, arrived).stdout == "t\n", _ARCHIVED_S)


def forget_etcd(pair: Stack, host: str) -> None:
    """What docs/postgres_ha_pair.md has an operator do on a member that is left of a majority that is not."""
    pair.host(host).run("systemctl stop etcd && rm -rf /var/lib/patroni-etcd/member && systemctl start --no-block etcd")


def begin_with(pair: Stack, host: str, bootstrap: str) -> None:
    """What the next start of Patroni takes for the setting."""
    pair.host(host).run(f"""sed -i 's/"bootstrap": .*/"bootstrap": "{bootstrap}",/' {_FACTS}""")


def numbers(pair: Stack, host: str) -> str:
    return pair.postgres(
        host, "SELECT string_agg(number::text, ' ' ORDER BY number) FROM kept", database=DATABASE
    ).stdout


def refused(pair: Stack, config: dict[str, Any]) -> str:
    """What is told of a configuration for new machines that is refused."""
    pair.project.configure({"lab": pair.lab, "authority": {}, "firewall": False, "postgres": config})
    outcome = pair.project.up("--refresh", check=False)
    assert outcome.code != 0
    return " ".join(outcome.text.split())


def test_a_new_pair_does_not_pass_over_its_backups(lost: Stack) -> None:
    told = refused(lost, beginning())
    assert "this pair is new, and the repository on witness has a cluster of its name already" in told
    assert "set backup.bootstrap: latest, or to a time such as " in told
    assert lost.host("db1").run(f"ls {_DATA}", check=False).stdout == ""


def test_a_time_without_a_backup_is_refused(lost: Stack) -> None:
    told = refused(lost, beginning("2001-01-01 00:00:00+00"))
    assert (
        "backup.bootstrap (2001-01-01 00:00:00+00), in the repository on witness: no backup ended before that" in told
    )
    assert lost.host("db1").run(f"ls {_DATA}", check=False).stdout == ""


def test_a_pair_begins_anew_with_all_that_its_repository_has(lost: Stack) -> None:
    lost.up(beginning("latest"))
    lost.wait_until_whole()
    assert {numbers(lost, host) for host in NODES} == {"1 2 3\n"}
    assert lost.leader() == "db1"
    by_network = f"host={lost.addresses['db1']},{lost.addresses['db2']} target_session_attrs=read-write"
    assert lost.psql(f"{by_network} sslmode=verify-full").stdout == "1\n"
    for host in NODES:
        assert lost.pair(host, "status").stdout.startswith("+ ")
        assert lost.postgres(host, "SHOW restore_command").stdout == "\n"
        assert lost.postgres(host, "SELECT line_number FROM pg_hba_file_rules WHERE auth_method = 'trust'").stdout == ""
    # Whoever comes without a login is refused by an etcd that was made anew, too.
    told = lost.host("db1").run("/usr/local/lib/patroni-etcd/member status").stdout
    assert told == "+ member of etcd\n"
    lost.pair("witness", "backup", "full")
    assert backups(lost)[-1]["type"] == "full"
    assert lost.project.up().unchanged


def test_where_there_is_a_cluster_it_changes_nothing(lost: Stack) -> None:
    lost.postgres(lost.leader(), "INSERT INTO kept VALUES (4)", database=DATABASE)
    time = now(lost)
    lost.postgres(lost.leader(), "INSERT INTO kept VALUES (5)", database=DATABASE)
    archive(lost)
    servers = [lost.postmaster(host) for host in NODES]
    lost.up(beginning(time))
    for host in NODES:
        lost.host(host).run("systemctl reload patroni")
    lost.wait_until_whole()
    assert [lost.postmaster(host) for host in NODES] == servers
    for host in NODES:
        lost.pair(lost.leader(), "restart", host, "--force")
        lost.wait_until_whole()
    assert {numbers(lost, host) for host in NODES} == {"1 2 3 4 5\n"}


def test_a_restore_that_was_cut_off_begins_anew_and_the_other_node_keeps_what_it_has(lost: Stack) -> None:
    after, facts = now(lost), lost.host("db1").run(["cat", _FACTS]).stdout
    for host in NODES:
        lost.host(host).run("systemctl stop patroni")
    lost.etcd("del", "--prefix", "/service/ccc/")
    begun = f"rm -r {_DATA}/global {_DATA}/base; runuser -u postgres -- touch {_DATA}/backup.manifest; : > {_MARK}"
    lost.host("db1").run(begun)
    lost.host("db2").run(f"mv {_DATA} {_DATA}.away && install -d -o postgres -g postgres -m 0700 {_DATA}")
    lost.host("db2").run("systemctl start patroni", check=False)
    journal = "journalctl -u patroni --since -2min --no-pager"
    wait_for(lambda: "on db1: db2 waits for it" in lost.host("db2").run(journal).stdout, 30)
    # Nothing was written after that time, so that no WAL leads there.
    begin_with(lost, "db1", after)
    lost.host("db1").run("systemctl start patroni", check=False)
    told = "recovery ended before configured recovery target was reached"
    wait_for(lambda: told in lost.pair("db1", "healthy", check=False).stderr, _RESTORED_S)
    lost.host("db1").run("systemctl stop patroni")
    lost.host("db1").run(f"cat > {_FACTS}", stdin=facts)
    lost.host("db1").run("systemctl start patroni")
    assert "of a restore that was cut off" in lost.host("db1").run(journal).stdout
    wait_for(lambda: lost.pair("db1", "accounts", check=False).returncode == 0, _RESTORED_S)
    # What the other one still had is not rewound to that.
    lost.host("db2").run(f"systemctl stop patroni; rm -rf {_DATA} && mv {_DATA}.away {_DATA}")
    lost.host("db2").run("systemctl start patroni", check=False)
    wait_for(lambda: "is from before the pair began anew" in lost.host("db2").run(journal).stdout, 30)
    lost.host("db2").run(f"systemctl stop patroni; rm -rf {_DATA}/*; systemctl start patroni")
    lost.wait_until_whole()
    assert {numbers(lost, host) for host in NODES} == {"1 2 3 4\n"}
    assert lost.host("db1").run(["ls", _MARK], check=False).returncode != 0
    assert set(HOSTS) == {line.split(", ")[2] for line in lost.etcd("member", "list").stdout.splitlines()}


def test_a_repository_of_another_cluster_is_told(lost: Stack) -> None:
    for host in NODES:
        lost.host(host).run(f"systemctl stop patroni; rm -rf {_DATA}/*")
        begin_with(lost, host, "")
    lost.etcd("del", "--prefix", "/service/ccc/")
    for host in NODES:
        lost.host(host).run("systemctl start patroni")
    lost.wait_until_whole()
    told = lost.pair("witness", "begin", check=False).stderr
    assert "the repository has another cluster of this pair's name" in told
    assert "give backup.directory another place" in told
