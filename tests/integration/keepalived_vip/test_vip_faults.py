"""What happens to the holder, and that the other one serves then."""

from __future__ import annotations

import time

import pytest

from tests.integration.keepalived_vip.faults import FAULTS, VRRP_CUT, Fault, Healing, strike
from tests.integration.keepalived_vip.pair import NAMES, PORT, VIP, VIP6, Pair
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_other_one_serves(pair: Pair, fault: Fault) -> None:
    felt = strike(pair, fault)
    assert pair.other(felt.former) in felt.answered
    assert len(pair.holders()) == 1


def test_ipv6_moves_along(pair: Pair) -> None:
    former = pair.holder
    with pair.dialled(VIP6) as client:
        pair.hosts[former].run("systemctl kill -s KILL --kill-whom=all keepalived")
        wait_for(lambda: pair.other(former) in client.read().hosts)
    assert pair.holders() == pair.holders(VIP6) == [pair.other(former)]


def test_who_was_well_again_does_not_take_the_addresses_back(pair: Pair) -> None:
    former = pair.holder
    pair.hosts[former].run("systemctl restart keepalived")
    pair.settle()
    assert pair.holder == pair.other(former)


def test_killed_and_kept_from_coming_back_it_holds_nothing(pair: Pair) -> None:
    former = pair.holder
    host = pair.hosts[former]
    # Not masked, which would take its drop-ins away, and with them what runs after its end.
    drop_in = "/run/systemd/system/keepalived.service.d/zz-stays-down.conf"
    host.run(f"mkdir -p {drop_in.rpartition('/')[0]} && cat >{drop_in}", stdin="[Service]\nRestart=no\n")
    host.run("systemctl daemon-reload && systemctl kill -s KILL --kill-whom=all keepalived")
    try:
        wait_for(lambda: pair.holders() == pair.holders(VIP6) == [pair.other(former)])
        assert host.run("pgrep -x keepalived", check=False).stdout == ""
        told = host.run("journalctl -u keepalived -o cat --since -60s --no-pager").stdout
        assert f"removed {VIP}/32, which keepalived left on eth0" in told
    finally:
        host.run(f"rm {drop_in} && systemctl daemon-reload && systemctl start keepalived")


def test_an_address_that_was_left_goes_before_a_new_start(pair: Pair) -> None:
    standby = pair.other(pair.holder)
    host = pair.hosts[standby]
    host.run(f"systemctl stop keepalived && ip address add {VIP}/24 dev eth0")
    host.run("systemctl start keepalived")
    pair.settle()
    assert pair.holder != standby


def test_a_holder_whose_address_is_taken_away_by_hand_gets_over_it(pair: Pair) -> None:
    pair.hosts[pair.holder].run(f"ip address delete {VIP}/32 dev eth0")
    pair.settle()


def test_without_vrrp_between_them_both_hold_until_they_hear_each_other(pair: Pair) -> None:
    former = pair.holder
    with VRRP_CUT.cause(pair, pair.hosts[former], Healing()):
        wait_for(lambda: pair.holders() == list(NAMES))
    wait_for(lambda: len(pair.holders()) == 1)


def test_where_haproxy_is_down_everywhere_nobody_holds_the_addresses(pair: Pair) -> None:
    hosts = pair.hosts.values()
    try:
        for host in hosts:
            host.run("systemctl mask --runtime haproxy && systemctl kill -s KILL haproxy")
        wait_for(lambda: pair.holders() == [])
        assert {pair.state(name)["state"] for name in NAMES} == {3}
    finally:
        for host in hosts:
            host.run("systemctl unmask --runtime haproxy && systemctl start haproxy")


# Says in VRRPv3 that it is the master, with the highest priority that there is: RFC 9568, 5.2.
_FORGER = """
import socket, struct, sys, time
own, target, vip, packets = sys.argv[1:]
address = socket.inet_aton(vip)
def packet(checksum):
    return struct.pack("!BBBBHH", 0x31, 51, 254, 1, 10, checksum) + address
pseudo = socket.inet_aton(own) + socket.inet_aton(target) + struct.pack("!BBH", 0, 112, 12)
total = sum(struct.unpack("!12H", pseudo + packet(0)))
total = (total & 0xFFFF) + (total >> 16)
total = (total & 0xFFFF) + (total >> 16)
with socket.socket(socket.AF_INET, socket.SOCK_RAW, 112) as out:
    out.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
    for _ in range(int(packets)):
        out.sendto(packet(~total & 0xFFFF), (target, 0))
        time.sleep(0.05)
"""


@pytest.mark.parametrize("firewall", [True, False], ids=["behind the firewall", "by keepalived itself"])
def test_a_stranger_cannot_depose_the_holder(pair: Pair, firewall: bool) -> None:
    holder = pair.holder
    host = pair.hosts[holder]
    if not firewall:
        host.run("systemctl stop sealed-data-tier-firewall")
    try:
        begun = time.time()
        words = ["python3", "-", pair.outsider.address, host.address, VIP, "40"]
        pair.outsider.run(words, stdin=_FORGER)
        # Not who holds it now: on a busy machine it may have moved for reasons of its own.
        told = pair.said(holder, begun)
        assert f"advert from {pair.outsider.address} " not in told
        assert (f"{pair.outsider.address} not a unicast peer" in told) is not firewall
        assert len(pair.holders()) == 1
    finally:
        if not firewall:
            host.run("systemctl start sealed-data-tier-firewall")


def test_the_standby_listens_already(pair: Pair) -> None:
    standby = pair.other(pair.holder)
    listening = pair.hosts[standby].run(f"ss -Hltn sport = :{PORT}").stdout
    assert f"{VIP}:{PORT}" in listening
    assert f"[{VIP6}]:{PORT}" in listening


def test_a_reload_of_haproxy_is_no_fault(pair: Pair) -> None:
    holder = pair.holder
    begun = time.time()
    for _ in range(3):
        pair.hosts[holder].run("systemctl reload haproxy && sleep 1")
    assert "Entering FAULT" not in pair.said(holder, begun)


@pytest.mark.parametrize("address", [VIP, VIP6], ids=["IPv4", "IPv6"])
def test_where_the_addresses_are_is_told_again(pair: Pair, address: str) -> None:
    hardware = pair.hosts[pair.holder].run("cat /sys/class/net/eth0/address").stdout.strip()

    def known() -> str:
        return pair.outsider.run(f"ip neighbour show to {address} dev eth0").stdout

    # Nothing is sent to the address meanwhile, by which the kernel would find out for itself.
    pair.outsider.run(f"ip neighbour replace {address} lladdr 02:00:00:00:00:01 nud reachable dev eth0")
    wait_for(lambda: f"lladdr {hardware} " in known())
    assert pair.asked(address) == pair.holder
