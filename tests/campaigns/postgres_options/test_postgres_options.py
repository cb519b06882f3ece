"""A pair with what is not the default: IPv6, writes that wait for a standby, certificates of clients, firewalls."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.campaigns.postgres_options.conftest import PLAIN
from tests.integration.postgres.stack import CLIENT, DATABASE, HOSTS, NODES, USER, Stack
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

SIX: Final = {host: f"fd5d:7a1e:203:62::{11 + at:x}" for at, host in enumerate(HOSTS)}
_GIVEN: Final = "only-for-this-test"
_WAITS_S: Final = 8


def configured(password: str, **more: Any) -> dict[str, Any]:
    database = {
        "name": DATABASE,
        "user": USER,
        "clients": [f"{SIX['witness']}/128"],
        "clientCertificate": True,
        "password": password,
    }
    return {
        **PLAIN,
        "nodes": [{"host": host, "address": SIX[host]} for host in NODES],
        "witness": {"host": "witness", "address": SIX["witness"]},
        "databases": [database],
        "replication": {"mode": "strict"},
        **more,
    }


@pytest.fixture(scope="module")
def pair(stack: Stack) -> Iterator[Stack]:
    """Such a pair."""
    stack.firewall = True
    stack.up(configured(_GIVEN))
    stack.wait_until_whole()
    yield stack
    stack.up(None)
    stack.firewall = False
    stack.up(None)
    stack.remove_data()


def by_ipv6(pair: Stack, *, certificate: bool = True) -> subprocess.CompletedProcess[str]:
    shown = f"sslcert={CLIENT}/client.crt sslkey={CLIENT}/client.key" if certificate else "sslcert=/nowhere"
    hosts = f"host={SIX['db1']},{SIX['db2']} target_session_attrs=read-write sslmode=verify-full"
    return pair.psql(f"{hosts} {shown}")


def write(pair: Stack, host: str) -> bool:
    """Whether a write is confirmed in a while."""
    script = "CREATE TABLE IF NOT EXISTS patient (number int); INSERT INTO patient VALUES (1)"
    command = ["timeout", "--signal=KILL", str(_WAITS_S), "runuser", "-u", "postgres", "--", "psql", "-XAtqc", script]
    return pair.host(host).run(command, check=False).returncode == 0


def test_the_pair_speaks_ipv6(pair: Stack) -> None:
    assert f"@[{SIX['db1']}]:5432,[{SIX['db2']}]:5432/" in pair.outputs["dsns"][DATABASE]
    assert by_ipv6(pair).stdout == "1\n"
    for host in NODES:
        told = pair.host(host).run("ss -Hltn | awk '{ print $4 }'").stdout.split()
        beyond = {each for each in told if not each.startswith(("127.", "[::1]")) and not each.endswith(":22")}
        assert beyond == {f"[{SIX[host]}]:{port}" for port in (5432, 8008, 2379, 2380)}
    leader = pair.leader()
    pair.pair(leader, "switchover", "--candidate", pair.other(leader), "--force")
    pair.wait_until_whole()
    assert pair.leads(pair.other(leader))


def test_a_client_without_a_certificate_is_refused(pair: Stack) -> None:
    assert "connection requires a valid client certificate" in by_ipv6(pair, certificate=False).stderr


def test_the_firewall_lets_in_nobody_else(pair: Stack) -> None:
    for port in (5432, 8008, 2379, 2380):
        with pytest.raises(TimeoutError):
            socket.create_connection((SIX["db1"], port), timeout=1)


def test_writes_wait_for_a_standby(pair: Stack) -> None:
    leader = pair.leader()
    assert write(pair, leader)
    pair.host(pair.other(leader)).run("systemctl stop patroni")
    try:
        wait_for(lambda: not write(pair, leader), 60)
        assert pair.leads(leader)
    finally:
        pair.host(pair.other(leader)).run("systemctl start patroni")
    pair.wait_until_whole()
    assert write(pair, leader)
    assert pair.leader() == leader


def test_one_server_is_restarted(pair: Stack) -> None:
    leader = pair.leader()
    standby = pair.other(leader)
    started = "SELECT pg_postmaster_start_time()"
    before = {host: pair.postgres(host, started).stdout for host in NODES}
    pair.pair(leader, "restart", standby, "--force")
    pair.wait_until_whole()
    assert {host for host in NODES if pair.postgres(host, started).stdout != before[host]} == {standby}


def test_a_given_password_changes_at_once(pair: Stack) -> None:
    assert pair.outputs["passwords"] == {USER: _GIVEN}
    pair.up(configured("another-one"))
    assert by_ipv6(pair).stdout == "1\n"
    pair.host("witness").run(f"printf %s {_GIVEN} > {CLIENT}/password")
    assert "password authentication failed" in by_ipv6(pair).stderr


def test_an_empty_machine_takes_a_lost_hosts_place(pair: Stack) -> None:
    lost = pair.leader()
    with_data = pair.other(lost)
    subprocess.run(["docker", "rm", "--force", pair.host(lost).container], check=True, capture_output=True)
    wait_for(lambda: pair.leads(with_data), 90)
    pair.project.up("--refresh")
    pair.wait_until_whole()
    assert pair.leader() == with_data
    assert "+ member of etcd" in pair.host(lost).run("/usr/local/lib/patroni-etcd/member status").stdout
    assert pair.postgres(lost, "SELECT count(*) > 0 FROM patient").stdout == "t\n"
    assert pair.project.up().unchanged


def test_data_goes_when_that_is_said(pair: Stack) -> None:
    pair.up(configured("another-one", removeData=True))
    pair.up(None)
    for host in HOSTS:
        left = pair.host(host).run("ls -d /var/lib/postgresql/*/ccc /var/lib/patroni-etcd", check=False).stdout
        assert left == ""
