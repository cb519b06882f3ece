"""Data that is there: what a pair leaves, takes up again, takes in, and refuses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.postgres.stack import DATABASE, HOSTS, NODES, PAIR, Stack
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

_DATA = "/var/lib/postgresql/17/ccc"


@pytest.fixture
def filled(pair: Stack) -> Iterator[Stack]:
    """A stack whose pair has data of its own; nothing is left of it afterwards."""
    pair.postgres(pair.leader(), "CREATE TABLE kept (number int)", database=DATABASE)
    pair.postgres(pair.leader(), "INSERT INTO kept VALUES (42)", database=DATABASE)
    yield pair
    pair.up(None)
    pair.remove_data()


@pytest.fixture
def emptied(filled: Stack) -> Stack:
    """The same once the pair has left."""
    filled.up(None)
    return filled


def kept(pair: Stack) -> str:
    return pair.postgres(pair.leader(), "SELECT number FROM kept", database=DATABASE).stdout


def etcd_forgets(pair: Stack) -> None:
    for host in HOSTS:
        pair.host(host).run("rm -rf /var/lib/patroni-etcd")


def test_what_leaves_leaves_its_data_and_nothing_else(emptied: Stack) -> None:
    for host in NODES:
        assert emptied.host(host).run(f"cat {_DATA}/PG_VERSION").stdout == "17\n"
        left = emptied.host(host).run(
            "ls -d /etc/patroni /etc/postgres* /etc/etcd /usr/local/*/*pa* 2>/dev/null", check=False
        )
        assert left.stdout == ""
        assert emptied.host(host).run("ss -Hltn | grep -cE ':(5432|8008|2379|2380) '", check=False).stdout == "0\n"
    emptied.up(PAIR)
    emptied.wait_until_whole()
    assert kept(emptied) == "42\n"


def test_the_second_one_leads_again_although_its_turn_comes_last(filled: Stack) -> None:
    first, second = NODES
    if filled.leader() == first:
        filled.pair(first, "switchover", "--candidate", second, "--force")
        filled.wait_until_whole()
    filled.host(first).run("systemctl stop patroni")
    # Without it no commit waits any longer; then it may not lead, since it would lack this one.
    wait_for(lambda: not filled.postgres(second, "SHOW synchronous_standby_names").stdout.strip())
    filled.postgres(second, "INSERT INTO kept VALUES (43)", database=DATABASE)
    filled.host(second).run("systemctl stop patroni")
    filled.up(None)
    filled.up(PAIR)
    filled.wait_until_whole()
    assert filled.leader() == second
    assert kept(filled) == "42\n43\n"


def test_data_that_nobody_knows_is_refused_until_it_is_adopted(emptied: Stack) -> None:
    etcd_forgets(emptied)
    refused = emptied.up(PAIR, check=False)
    assert refused.code != 0
    assert f"{_DATA} holds a cluster already, and etcd knows of none: set adopt: db1 to go on with it" in refused.text
    assert emptied.host("db1").run(f"cat {_DATA}/PG_VERSION").stdout == "17\n"
    # The other node has a copy of the same cluster, and follows.
    emptied.up({**PAIR, "adopt": "db1"})
    emptied.wait_until_whole()
    assert kept(emptied) == "42\n"


def test_data_of_another_cluster_is_refused(emptied: Stack) -> None:
    emptied.host("db2").run(f"rm -rf {_DATA}")
    initdb = "/usr/lib/postgresql/17/bin/initdb"
    install = "DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends postgresql-17"
    # As an administrator has it who made a cluster of his own there.
    emptied.host("db2").run(f"apt-get -qq update && {install} && systemctl stop postgresql", timeout=300)
    emptied.host("db2").run(f"install -d -o postgres {_DATA} && runuser -u postgres -- {initdb} -k -D {_DATA}")
    refused = emptied.up(PAIR, check=False)
    assert refused.code != 0
    assert f"{_DATA} holds another cluster" in refused.text
    assert "move it away, and this node copies the pair's" in refused.text
    assert emptied.host("db2").run(f"cat {_DATA}/PG_VERSION").stdout == "17\n"


def test_a_node_that_lost_everything_is_taken_in_again(pair: Stack) -> None:
    leader = pair.leader()
    lost = pair.other(leader)
    pair.host(lost).run("systemctl stop patroni etcd")
    pair.host(lost).run(f"rm -rf {_DATA} /var/lib/patroni-etcd/member")
    pair.host(lost).run("systemctl start etcd && systemctl start patroni")
    pair.wait_until_whole()
    assert pair.leader() == leader
    assert "+ member of etcd" in pair.host(lost).run("/usr/local/lib/patroni-etcd/member status").stdout


def test_a_standby_is_copied_anew(pair: Stack) -> None:
    leader = pair.leader()
    pair.pair(leader, "reinit", pair.other(leader), "--force", "--wait")
    pair.wait_until_whole()
    assert pair.leader() == leader


def test_a_standby_is_upgraded_and_the_leader_is_not(pair: Stack) -> None:
    leader = pair.leader()
    refused = pair.pair(leader, "upgrade", check=False)
    assert "this node leads: upgrade the other one" in refused.stderr
    pair.pair(pair.other(leader), "upgrade")
    pair.wait_until_whole()
    assert pair.leader() == leader
