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


def test_ipv6_moves_along(patient: Pair) -> None:
    former = patient.holder
    with patient.dialled(VIP6) as client:
        patient.hosts[former].run("systemctl kill -s KILL --kill-whom=all keepalived")
        wait_for(lambda: patient.other(former) in client.read().hosts)
    assert patient.holders() == patient.holders(VIP6) == [patient.other(former)]


def test_who_was_well_again_does_not_take_the_addresses_back(patient: Pair) -> None:
    former = patient.holder
    patient.hosts[former].run("systemctl restart keepalived")
    patient.settle()
    assert patient.holder == patient.other(former)


def test_killed_and_kept_from_coming_back_it_holds_nothing(patient: Pair) -> None:
    former = patient.holder
    host = patient.hosts[former]
    # Not masked, which would take its drop-ins away, and with them what runs after its end.
    drop_in = "/run/systemd/system/keepalived.service.d/zz-stays-down.conf"
    host.run(f"mkdir -p {drop_in.rpartition('/')[0]} && cat >{drop_in}", stdin="[Service]\nRestart=no\n")
    host.run("systemctl daemon-reload && systemctl kill -s KILL --kill-whom=all keepalived")
    try:
        wait_for(lambda: patient.holders() == patient.holders(VIP6) == [patient.other(former)])
        assert host.run("pgrep -x keepalived", check=False).stdout == ""
        told = host.run("journalctl -u keepalived -o cat --since -60s --no-pager").stdout
        assert f"removed {VIP}/32, which keepalived left on eth0" in told
    finally:
        host.run(f"rm {drop_in} && systemctl daemon-reload && systemctl start keepalived")


def test_an_address_that_was_left_goes_before_a_new_start(patient: Pair) -> None:
    standby = patient.other(patient.holder)
    host = patient.hosts[standby]
    host.run(f"systemctl stop keepalived && ip address add {VIP}/24 dev eth0")
    host.run("systemctl start keepalived")
    patient.settle()
    assert patient.holder != standby


def test_a_holder_whose_address_is_taken_away_by_hand_gets_over_it(patient: Pair) -> None:
    patient.hosts[patient.holder].run(f"ip address delete {VIP}/32 dev eth0")
    patient.settle()


def test_without_vrrp_between_them_both_hold_until_they_hear_each_other(patient: Pair) -> None:
    former = patient.holder
    with VRRP_CUT.cause(patient, patient.hosts[former], Healing()):
        wait_for(lambda: patient.holders() == list(NAMES))
    wait_for(lambda: len(patient.holders()) == 1)


def test_where_haproxy_is_down_everywhere_nobody_holds_the_addresses(patient: Pair) -> None:
    hosts = patient.hosts.values()
    try:
        for host in hosts:
            host.run("systemctl mask --runtime haproxy && systemctl kill -s KILL haproxy")
        wait_for(lambda: patient.holders() == [])
        assert {patient.state(name)["state"] for name in NAMES} == {3}
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
def test_a_stranger_cannot_depose_the_holder(patient: Pair, firewall: bool) -> None:
    holder = patient.holder
    host = patient.hosts[holder]
    if not firewall:
        host.run("systemctl stop sealed-data-tier-firewall")
    try:
        begun = time.time()
        words = ["python3", "-", patient.outsider.address, host.address, VIP, "40"]
        patient.outsider.run(words, stdin=_FORGER)
        told = patient.said(holder, begun)
        assert f"advert from {patient.outsider.address} " not in told
        assert (f"{patient.outsider.address} not a unicast peer" in told) is not firewall
        assert len(patient.holders()) == 1
    finally:
        if not firewall:
            host.run("systemctl start sealed-data-tier-firewall")


def test_the_standby_listens_already(patient: Pair) -> None:
    standby = patient.other(patient.holder)
    listening = patient.hosts[standby].run(f"ss -Hltn sport = :{PORT}").stdout
    assert f"{VIP}:{PORT}" in listening
    assert f"[{VIP6}]:{PORT}" in listening


def test_a_reload_of_haproxy_is_no_fault(patient: Pair) -> None:
    holder = patient.holder
    begun = time.time()
    for _ in range(3):
        patient.hosts[holder].run("systemctl reload haproxy && sleep 1")
    assert "Entering FAULT" not in patient.said(holder, begun)


@pytest.mark.parametrize("address", [VIP, VIP6], ids=["IPv4", "IPv6"])
def test_where_the_addresses_are_is_told_again(patient: Pair, address: str) -> None:
    hardware = patient.hosts[patient.holder].run("cat /sys/class/net/eth0/address").stdout.strip()

    def known() -> str:
        return patient.outsider.run(f"ip neighbour show to {address} dev eth0").stdout

    # Nothing is sent to the address meanwhile, by which the kernel would find out for itself.
    patient.outsider.run(f"ip neighbour replace {address} lladdr 02:00:00:00:00:01 nud reachable dev eth0")
    wait_for(lambda: f"lladdr {hardware} " in known())
    assert patient.asked(address) == patient.holder
