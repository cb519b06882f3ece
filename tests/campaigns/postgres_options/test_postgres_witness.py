"""A witness that is lost with the repository: an empty machine in its place, and another host."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.campaigns.postgres_options.conftest import PLAIN, SPARE
from tests.integration.postgres.stack import HOSTS, NODES, Stack
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

_BACKUP: Final[dict[str, Any]] = {"cipherPass": "only-for-this-test-and-long-enough", "archiveTimeout": "10s"}
_BACKUP_S: Final = 180


@pytest.fixture(scope="module")
def pair(stack: Stack) -> Iterator[Stack]:
    """A pair with backups."""
    stack.up({**PLAIN, "backup": _BACKUP})
    stack.wait_until_whole()
    wait_for(lambda: has_backup(stack, "witness"), _BACKUP_S)
    yield stack
    stack.up(None)
    stack.remove_data()
    for host in (*HOSTS, SPARE):
        stack.host(host).run("rm -rf /var/lib/pgbackrest /var/lib/patroni-etcd")


def has_backup(pair: Stack, host: str) -> bool:
    return "+ 1 backups, the newest " in pair.pair(host, "status", check=False).stdout


def members(pair: Stack, host: str) -> set[str]:
    """Names of etcd's members, as a host has them."""
    tls = "/etc/etcd/tls"
    given = ["--cacert", f"{tls}/root.crt", "--cert", f"{tls}/administrator.crt", "--key", f"{tls}/administrator.key"]
    command = ["etcdctl", "--endpoints", f"https://{pair.addresses[host]}:2379", *given, "member", "list"]
    return {line.split(", ")[2] for line in pair.host(host).run(command).stdout.splitlines()}


def well(pair: Stack, host: str) -> bool:
    return all(line.startswith("+ ") for line in pair.pair(host, "status", check=False).stdout.splitlines())


def test_an_empty_machine_takes_the_witnesss_place(pair: Stack) -> None:
    leader = pair.leader()
    subprocess.run(["docker", "rm", "--force", pair.host("witness").container], check=True, capture_output=True)
    assert pair.leads(leader)
    pair.project.up("--refresh")
    pair.wait_until_whole()
    assert pair.leader() == leader
    assert members(pair, "db1") == set(HOSTS)
    assert "+ member of etcd" in pair.pair("witness", "status").stdout
    # The repository was lost with it: there is a new one, which begins with a backup of its own.
    wait_for(lambda: has_backup(pair, "witness"), _BACKUP_S)
    wait_for(lambda: all(well(pair, host) for host in HOSTS), _BACKUP_S)
    assert pair.project.up().unchanged


def test_another_host_takes_the_witnesss_place(pair: Stack) -> None:
    leader = pair.leader()
    pair.up({**PLAIN, "backup": _BACKUP, "witness": {"host": SPARE}})
    pair.wait_until_whole()
    assert pair.leader() == leader
    # No fourth vote: with it, the loss of two would be that of the majority.
    assert members(pair, "db1") == {*NODES, SPARE}
    assert pair.host("witness").run("systemctl is-active etcd", check=False).stdout == "inactive\n"
    assert pair.host("witness").run("ls /usr/local/sbin/postgres-pair", check=False).returncode != 0
    wait_for(lambda: has_backup(pair, SPARE), _BACKUP_S)
    wait_for(lambda: all(well(pair, host) for host in (*NODES, SPARE)), _BACKUP_S)
    assert pair.project.up().unchanged


def test_a_lost_leader_is_replaced_with_the_new_witness(pair: Stack) -> None:
    lost = pair.leader()
    pair.host(lost).kill()
    try:
        wait_for(lambda: pair.leads(pair.other(lost)), 90)
    finally:
        pair.host(lost).start()
    pair.wait_until_whole()
