"""`make verify` looks at a pair: what is written arrives; the leader has the virtual IP, and a certificate for it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.authority import Authority
from tests.integration.postgres.stack import ADDRESSES, NODES, VIP, Stack
from tests.integration.support import wait_for
from tests.integration.verification.verdict import verify

pytestmark = [pytest.mark.engine, pytest.mark.lab]

_TLS: Final = "/etc/postgres-pair/tls"


def test_all_is_well(pair: Stack, tmp_path: Path) -> None:
    found = verify(pair.project, tmp_path / "report.json")
    assert found.wrong == set(), found.text
    told = {(check["name"], check["host"]): check["detail"] for check in found.checks}
    leader = pair.leader()
    standby = pair.other(leader)
    assert told["replication", leader] == f"a table made here is seen on {standby}"
    assert "cannot execute CREATE TABLE in a read-only transaction" in str(told["replication", standby])
    assert f"holds {VIP}" in str(told["virtual-ips", leader])
    # Nothing is left of it.
    assert pair.postgres(leader, r"\dt sealed_data_tier_*").stdout == ""


def test_an_address_beside_the_leader_is_found(pair: Stack, tmp_path: Path) -> None:
    standby = pair.other(pair.leader())
    pair.host(standby).run(f"ip address add {VIP}/32 dev eth0")
    try:
        found = verify(pair.project, tmp_path / "report.json")
        assert f"holds {VIP}, and does not lead" in found.problems("postgres", standby)
        assert f"holds {VIP}, as does {pair.leader()}" in found.problems("virtual-ips", standby)
    finally:
        pair.host(standby).run(f"ip address delete {VIP}/32 dev eth0")


def test_a_leader_without_the_address_is_found(pair: Stack, tmp_path: Path) -> None:
    leader = pair.leader()
    pair.host(leader).run("systemctl stop keepalived")
    try:
        found = verify(pair.project, tmp_path / "report.json")
        assert f"leads, and does not hold {VIP}" in found.problems("postgres", leader)
        assert f"nobody holds {VIP}" in found.text
    finally:
        pair.host(leader).run("systemctl start keepalived")
        wait_for(pair.followed)


def test_a_certificate_without_the_address_is_found(pair: Stack, tmp_path: Path) -> None:
    leader = pair.leader()
    host = pair.host(leader)
    certificate, key = Authority().issue(ADDRESSES[leader], f"{leader}.example.com")
    host.run(f"cp -p {_TLS}/node.crt {_TLS}/node.key /run")
    try:
        for name, text in (("crt", certificate), ("key", key)):
            host.run(f"cat >{_TLS}/node.{name}", stdin=text)
        pair.postgres(leader, "SELECT pg_reload_conf()")
        found = verify(pair.project, tmp_path / "report.json")
        assert f"serves a certificate that is not for {VIP}" in found.problems("certificates", leader)
        assert f"its certificate is not for {VIP}" in found.problems("policies", leader)
    finally:
        host.run(f"cp -p /run/node.crt /run/node.key {_TLS}; rm /run/node.crt /run/node.key")
        pair.postgres(leader, "SELECT pg_reload_conf()")


def test_a_pair_that_is_not_whole_is_found(pair: Stack, tmp_path: Path) -> None:
    standby = pair.other(pair.leader())
    pair.host(standby).run("systemctl stop patroni")
    try:
        found = verify(pair.project, tmp_path / "report.json")
        assert {("postgres", host) for host in NODES} <= found.wrong
        assert "not done: PostgreSQL could not be asked" in found.problems("replication", standby)
    finally:
        pair.host(standby).run("systemctl start patroni")
    pair.wait_until_whole()
