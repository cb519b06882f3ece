"""Data that is there already: what is refused, and Debian's own cluster as the pair's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.campaigns.postgres_options.conftest import PLAIN
from tests.integration.postgres.stack import HOSTS, NODES, Stack
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

_DATA: Final = "/var/lib/postgresql/17/main"
_BINARIES: Final = "/usr/lib/postgresql/17/bin"
_START: Final = "/etc/postgresql/17/main/start.conf"
_UNIT: Final = "postgresql@17-main"
_ADOPTED: Final[dict[str, Any]] = {**PLAIN, "dataDirectory": _DATA, "adopt": "db1"}
_SERVES_S: Final = 60


@pytest.fixture(scope="module")
def debian(stack: Stack) -> Iterator[Stack]:
    """A host on which the packages have made a cluster, which serves, with a table of three rows."""
    db1 = stack.host("db1")
    install = "DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends postgresql-17"
    db1.run(f"apt-get -qq update && {install}", timeout=300)
    db1.run(f"systemctl enable -q postgresql && systemctl start {_UNIT}")
    wait_for(lambda: sql(stack, "SELECT 1") == "1\n", _SERVES_S)
    sql(stack, "CREATE TABLE kept AS SELECT generate_series(1, 3)")
    yield stack
    stack.up(None)
    stack.remove_data()
    db1.run("DEBIAN_FRONTEND=noninteractive apt-get -qq purge -y 'postgresql*'; rm -rf /etc/postgresql", timeout=300)


def sql(stack: Stack, text: str, host: str = "db1") -> str:
    return stack.postgres(host, text, check=False).stdout


def refused(stack: Stack, config: dict[str, Any]) -> str:
    """What an `up` says that fails."""
    outcome = stack.up(config, check=False)
    assert outcome.code != 0
    return outcome.text


def test_a_server_that_runs_is_refused(debian: Stack) -> None:
    assert "port 5432 is taken by another program" in refused(debian, _ADOPTED)
    assert sql(debian, "SELECT count(*) FROM kept") == "3\n"
    # By another port, too.
    other = {**_ADOPTED, "connections": {"port": 5433}}
    assert f"{_UNIT} starts {_DATA} at boot, beside Patroni" in refused(debian, other)
    debian.host("db1").run(f"echo disabled > {_START}")
    assert f"a server runs with {_DATA}: stop it" in refused(debian, other)
    debian.host("db1").run(f"echo auto > {_START} && systemctl stop {_UNIT}")


def test_a_cluster_that_starts_at_boot_is_refused(debian: Stack) -> None:
    told = refused(debian, _ADOPTED)
    assert f"systemctl stop {_UNIT}, and write `disabled` into {_START}" in told
    debian.host("db1").run(f"echo disabled > {_START}")


def test_data_is_not_taken_unasked(debian: Stack) -> None:
    plain = {key: value for key, value in _ADOPTED.items() if key != "adopt"}
    assert f"{_DATA} holds a cluster already, and etcd knows of none: set adopt: db1" in refused(debian, plain)


def test_a_cluster_without_checksums_is_refused(debian: Stack) -> None:
    assert f"{_BINARIES}/pg_checksums --enable -D {_DATA}" in refused(debian, _ADOPTED)
    debian.host("db1").run(f"runuser -u postgres -- {_BINARIES}/pg_checksums --enable -D {_DATA}", timeout=300)


def test_a_host_of_another_pair_is_refused(debian: Stack) -> None:
    assert "this host is in the pair ccc: name another host" in refused(debian, {**_ADOPTED, "name": "other"})


def test_what_is_no_cluster_and_another_version_are_refused(debian: Stack) -> None:
    strange = {**PLAIN, "dataDirectory": "/var/lib/strange"}
    db1 = debian.host("db1")
    db1.run("install -d -o postgres -g postgres -m 700 /var/lib/strange && touch /var/lib/strange/notes")
    assert "/var/lib/strange holds notes and no cluster: move that away, or set dataDirectory" in refused(
        debian, strange
    )
    db1.run("echo 16 > /var/lib/strange/PG_VERSION")
    assert "/var/lib/strange is a cluster of PostgreSQL 16, not 17: set version, or dataDirectory" in refused(
        debian, strange
    )
    assert db1.run("cat /var/lib/strange/PG_VERSION; rm -rf /var/lib/strange").stdout == "16\n"


def test_debians_cluster_becomes_the_pairs(debian: Stack) -> None:
    debian.up(_ADOPTED)
    debian.wait_until_whole()
    assert debian.leader() == "db1"
    for host in NODES:
        assert sql(debian, "SELECT count(*) FROM kept", host) == "3\n"
    # It had none of the roles.
    roles = "SELECT count(*) FROM pg_roles WHERE rolname IN ('replicator', 'rewinder')"
    assert sql(debian, roles) == "2\n"
    assert debian.project.up().unchanged


def test_a_boot_starts_one_server(debian: Stack) -> None:
    debian.host("db1").reboot()
    debian.wait_until_whole()
    db1 = debian.host("db1")
    assert db1.run(f"systemctl is-active {_UNIT}", check=False).stdout == "inactive\n"
    assert db1.run("pgrep -c -f '^/usr/lib/postgresql/17/bin/postgres '").stdout == "1\n"
    assert sql(debian, "SHOW ssl") == "on\n"


def test_the_cluster_is_debians_again(debian: Stack) -> None:
    if debian.leader() != "db1":
        debian.pair("db1", "switchover", "--candidate", "db1", "--force")
        debian.wait_until_whole()
    debian.up(None)
    debian.host("db1").run(f"echo auto > {_START} && systemctl start {_UNIT}")
    wait_for(lambda: sql(debian, "SELECT pg_is_in_recovery()") == "f\n", _SERVES_S)
    assert sql(debian, "SELECT count(*) FROM kept") == "3\n"
    for host in HOSTS:
        assert debian.host(host).run("ls -d /etc/postgres-pair /etc/etcd", check=False).stdout == ""
