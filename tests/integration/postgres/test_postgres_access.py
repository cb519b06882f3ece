"""Who is let in, who is not, and what a standby shows and refuses."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from components.client_bundle import example, write
from tests.integration.postgres.stack import ADDRESSES, CLIENT, DATABASE, NODES, VIP, Stack

pytestmark = [pytest.mark.engine, pytest.mark.lab]

_BOTH: Final = f"host={ADDRESSES['db1']},{ADDRESSES['db2']} sslmode=verify-full"
_READ_ONLY: Final = "ERROR:  cannot execute CREATE TABLE in a read-only transaction"


def test_one_leads_and_the_other_is_in_sync(pair: Stack) -> None:
    leader = pair.leader()
    assert pair.whole()
    assert {host: pair.leads(host) for host in NODES} == {leader: True, pair.other(leader): False}
    for host in NODES:
        status = pair.pair(host, "status").stdout.splitlines()
        assert status[0] == "+ member of etcd"
        assert re.fullmatch(r"\+ (primary|replica), timeline \d+, in sync, \d+ bytes behind", status[1])
        assert status[2:] == ["+ without a watchdog: no /dev/watchdog"]
    assert pair.postgres(leader, "SHOW data_checksums").stdout == "on\n"


def test_the_test_of_the_seed(pair: Stack) -> None:
    leader = pair.leader()
    standby = pair.other(leader)
    pair.postgres(leader, "CREATE TABLE test (name char(10))")
    assert "|test|table|" in pair.postgres(standby, r"\dt *.*").stdout
    pair.postgres(leader, "DROP TABLE test")
    refused = pair.postgres(standby, "CREATE TABLE test (name char(10))", check=False)
    assert refused.returncode != 0
    assert refused.stderr.strip() == _READ_ONLY


@pytest.mark.parametrize("name", ["db1", "db2", *(ADDRESSES[host] for host in NODES)])
def test_each_server_is_who_it_is_dialled_as(pair: Stack, name: str) -> None:
    assert pair.psql(f"host={name} sslmode=verify-full").stdout == "1\n"


def test_the_certificate_holds_what_leads_to_the_primary(pair: Stack) -> None:
    for name in ("db.example.com", VIP):
        for host in NODES:
            assert pair.psql(f"host={name} hostaddr={ADDRESSES[host]} sslmode=verify-full").returncode == 0
    wrong = pair.psql(f"host=other.example.com hostaddr={ADDRESSES['db1']} sslmode=verify-full")
    assert 'does not match host name "other.example.com"' in wrong.stderr


def test_who_knows_both_servers_finds_the_primary(pair: Stack) -> None:
    primary = pair.psql(f"{_BOTH} target_session_attrs=read-write", "SELECT host(inet_server_addr())")
    assert primary.stdout.strip() == ADDRESSES[pair.leader()]


def test_an_application_gets_in_by_the_files_of_its_bundle(pair: Stack) -> None:
    client, here = pair.application, Path(f"{CLIENT}/bundle")
    with TemporaryDirectory() as directory:
        write(pair.outputs, Path(directory))
        client.run(["install", "-d", "-m", "0700", str(here)])
        for file in Path(directory).iterdir():
            client.run(f"umask 077; cat >{here}/{file.name}", stdin=file.read_text())
    password, psql, _ = example(pair.outputs, here).splitlines()
    secured = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert client.run(f"{password}\n{psql} -XAtc '{secured}'").stdout == "t\n"


def test_plaintext_is_refused(pair: Stack) -> None:
    refused = pair.psql(f"host={ADDRESSES['db1']} sslmode=disable")
    assert refused.returncode != 0
    assert "no pg_hba.conf entry" in refused.stderr
    assert "no encryption" in refused.stderr


def test_a_wrong_authority_is_refused(pair: Stack) -> None:
    subject = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -keyout /dev/null"
    pair.application.run(f"{subject} -out {CLIENT}/other.crt 2>/dev/null")
    refused = pair.psql(f"host={ADDRESSES['db1']} sslmode=verify-full", root=f"{CLIENT}/other.crt")
    assert "certificate verify failed" in refused.stderr


def test_a_wrong_password_and_a_wrong_host_are_refused(pair: Stack) -> None:
    wrong = pair.psql(f"host={ADDRESSES['db1']} sslmode=verify-full password=wrong")
    assert "password authentication failed" in wrong.stderr
    # From the standby: a server of the pair is no application server.
    script = f"PGPASSWORD=any psql 'host={ADDRESSES['db1']} dbname={DATABASE} user=lunadirector sslmode=require' -c ''"
    assert "no pg_hba.conf entry" in pair.host("db2").run(script, check=False).stderr


def test_replication_asks_for_a_certificate(pair: Stack) -> None:
    leader = pair.leader()
    script = f"PGPASSWORD=any psql 'host={ADDRESSES[leader]} user=replicator replication=yes sslmode=require' -c ''"
    refused = pair.host(pair.other(leader)).run(script, check=False)
    assert "connection requires a valid client certificate" in refused.stderr
    told = pair.postgres(leader, "SELECT ssl, version FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)").stdout
    assert told == "t|TLSv1.3\n"


def test_patroni_changes_nothing_for_strangers(pair: Stack) -> None:
    url = f"https://{ADDRESSES['db1']}:8008"
    ask = f"curl -s --cacert {CLIENT}/root.crt -o /dev/null -w '%{{http_code}}'"
    certificate = f"--cert {CLIENT}/client.crt --key {CLIENT}/client.key"
    client = pair.application
    assert client.run(f"{ask} {url}/liveness").stdout == "200"
    assert client.run(f"{ask} {certificate} -X PATCH -d '{{}}' {url}/config").stdout == "403"
    # From a node, but without a certificate.
    told = pair.host("db2").run(f"{ask.replace(CLIENT, '/etc/postgres-pair/tls')} -X PATCH -d '{{}}' {url}/config")
    assert told.stdout == "403"
    assert client.run(f"curl -s http://{ADDRESSES['db1']}:8008/", check=False).returncode != 0


def test_etcd_lets_nobody_in_without_certificate_and_login(pair: Stack) -> None:
    client = pair.application
    url = f"https://{ADDRESSES['witness']}:2379"
    assert client.run(f"curl -s http://{ADDRESSES['witness']}:2379/version", check=False).returncode != 0
    assert client.run(f"curl -s --cacert {CLIENT}/root.crt {url}/version", check=False).returncode != 0
    given = f"--cacert {CLIENT}/root.crt --cert {CLIENT}/client.crt --key {CLIENT}/client.key"
    refused = client.run(f"etcdctl --endpoints {url} {given} get --prefix /service/", check=False)
    assert refused.returncode != 0
    assert "permission denied" in refused.stderr
    # A certificate of the authority makes no member: peers have a name of their own.
    peer = client.run(f"curl -s {given} https://{ADDRESSES['witness']}:2380/members", check=False)
    assert peer.returncode != 0


def test_nothing_else_is_open(pair: Stack) -> None:
    for host in NODES:
        told = pair.host(host).run("ss -Hltn | awk '{ print $4 }'").stdout.split()
        beyond = {each for each in told if not each.startswith("127.") and not each.endswith(":22")}
        assert beyond == {f"{VIP}:5432", *(f"{ADDRESSES[host]}:{port}" for port in (5432, 8008, 2379, 2380))}


def test_a_second_up_changes_nothing(pair: Stack) -> None:
    assert pair.project.up().unchanged
