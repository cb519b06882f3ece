"""`make verify` looks who holds the addresses, and what keepalived runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from tests.integration.keepalived_vip.pair import NAMES, VIP, Pair
from tests.integration.verification.verdict import Verdict, verify

# Others reach the virtual IP on purpose, which a stack has to declare.
EXCEPTION: Final = {
    "rule": "haproxy-bind",
    "path": "/etc/haproxy/haproxy.cfg",
    "value": "bind * transparent",
    "reason": "clients of the virtual IP",
    "expires": "2099-12-31",
}

pytestmark = [pytest.mark.engine, pytest.mark.lab]


def verified(pair: Pair, place: Path) -> Verdict:
    """What verification says of the pair."""
    exceptions = place / "exceptions.json"
    exceptions.write_text(json.dumps({"bind-to-localhost": {"exceptions": [EXCEPTION]}}))
    return verify(pair.project, place / "report.json", "--policy-pack-config", str(exceptions))


def test_all_is_well(pair: Pair, tmp_path: Path) -> None:
    found = verified(pair, tmp_path)
    assert found.wrong == set()
    assert {("virtual-ips", name) for name in NAMES} <= {(each["name"], each["host"]) for each in found.checks}


def test_a_second_holder_is_found(pair: Pair, tmp_path: Path) -> None:
    standby = pair.other(pair.holder)
    pair.hosts[standby].run(f"ip address add {VIP}/32 dev eth0")
    try:
        found = verified(pair, tmp_path)
        assert f"holds {VIP}, as does {pair.other(standby)}" in found.problems("virtual-ips", standby)
    finally:
        pair.hosts[standby].run(f"ip address delete {VIP}/32 dev eth0")


def test_what_keepalived_was_told_by_hand_is_found(pair: Pair, tmp_path: Path) -> None:
    standby = pair.other(pair.holder)
    host = pair.hosts[standby]
    conf = "/etc/keepalived/keepalived.conf"
    reload = "systemctl reload keepalived"
    host.run(f"cp -p {conf} /run/kept.conf && sed -i 's/priority .*/priority 7/' {conf} && {reload}")
    try:
        host.run(f"cp -p /run/kept.conf {conf}")
        found = verified(pair, tmp_path)
        assert "runs with priority 7, not " in found.problems("virtual-ips", standby)
        assert found.wrong == {("virtual-ips", standby)}
    finally:
        host.run(reload)


def test_a_host_that_may_not_hold_them_is_found(pair: Pair, tmp_path: Path) -> None:
    host = pair.hosts[pair.other(pair.holder)]
    host.run("systemctl mask --runtime haproxy && systemctl kill -s KILL haproxy && sleep 2")
    try:
        found = verified(pair, tmp_path)
        assert "instance 'front' is in state FAULT" in found.problems("virtual-ips", host.name)
    finally:
        host.run("systemctl unmask --runtime haproxy && systemctl start haproxy")
