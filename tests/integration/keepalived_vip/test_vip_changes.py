"""What one `up` makes of two hosts, what the next one changes, what it refuses, and what is left in the end."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.integration.host.conftest import Target
from tests.integration.keepalived_vip.pair import ADDRESSES, NAMES, PATIENT, VIP, VIP6, Pair
from tests.integration.support import difference, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

FRONT: Final[dict[str, Any]] = PATIENT["instances"][0]
OTHER: Final = "10.203.60.6"
#: Prefers the other load balancer.
BACK: Final[dict[str, Any]] = {
    "name": "back",
    "routerId": 52,
    "addresses": [f"{OTHER}/24"],
    "priorities": {"lb1": 100, "lb2": 200},
    "preempt": True,
}


def changed(**front: Any) -> dict[str, Any]:
    return {**PATIENT, "instances": [{**FRONT, **front}]}


def test_one_holds_both_addresses(patient: Pair) -> None:
    assert patient.asked(VIP) == patient.asked(VIP6) == patient.holder


def test_second_up_changes_nothing(patient: Pair) -> None:
    assert patient.up(PATIENT).unchanged
    patient.hosts[patient.holder].run("systemctl kill -s KILL --kill-whom=all keepalived")
    patient.settle()
    assert patient.up(PATIENT).unchanged, "the addresses moved, which is no change of the stack's"


def test_outputs(patient: Pair) -> None:
    assert patient.project.outputs()["vip"] == {
        "addresses": {"front": [VIP, VIP6]},
        "routerIds": {"front": 51},
        "hosts": list(NAMES),
    }


def test_a_change_moves_nothing_and_is_run(patient: Pair) -> None:
    holder = patient.holder
    processes = [patient.keepalived(name) for name in NAMES]
    with patient.dialled() as client:
        patient.up(changed(advertInterval=0.2, lostAdverts=15))
        patient.settle()
    assert client.answers.hosts == [holder]
    assert [patient.keepalived(name) for name in NAMES] == processes
    assert [patient.state(name)["adver_int"] for name in NAMES] == [0.2, 0.2]


def test_instances_may_prefer_different_hosts(patient: Pair) -> None:
    holder = patient.holder
    patient.up({**PATIENT, "instances": [FRONT, BACK]})
    wait_for(lambda: patient.holders(OTHER) == ["lb2"])
    assert patient.holder == holder
    patient.hosts["lb2"].run("systemctl stop keepalived")
    wait_for(lambda: patient.holders(OTHER) == patient.holders() == ["lb1"])
    patient.hosts["lb2"].run("systemctl start keepalived")
    wait_for(lambda: patient.holders(OTHER) == ["lb2"])
    assert patient.holder == "lb1"
    patient.up(PATIENT)
    wait_for(lambda: patient.holders(OTHER) == [])


def test_vrrp_over_ipv6(patient: Pair) -> None:
    network = "fd5d:7a1e:203:60::"
    nodes = [{"host": name, "address": f"{network}{number}"} for name, number in (("lb1", "b"), ("lb2", "c"))]
    patient.up({**PATIENT, "nodes": nodes})
    patient.settle()
    former = patient.holder
    patient.hosts[former].run("systemctl kill -s KILL --kill-whom=all keepalived")
    wait_for(lambda: patient.holders() == patient.holders(VIP6) == [patient.other(former)])


def test_a_preempting_master_takes_the_addresses_back(patient: Pair) -> None:
    patient.up(changed(preempt=True))
    wait_for(lambda: patient.holders() == ["lb1"])
    patient.hosts["lb1"].run("systemctl stop keepalived")
    wait_for(lambda: patient.holders() == ["lb2"])
    patient.hosts["lb1"].run("systemctl start keepalived")
    wait_for(lambda: patient.holders() == ["lb1"])


def test_daemons_may_listen_before_the_address_is_there(patient: Pair) -> None:
    host = patient.hosts[patient.other(patient.holder)]
    listen = f"timeout 10 python3 -c 'import socket; socket.create_server((\"{VIP}\", 7100))'"
    assert host.run(listen, check=False).returncode != 0
    patient.up({**PATIENT, "nonlocalBind": True})
    patient.settle()
    for name in NAMES:
        assert (
            patient.hosts[name].run("sysctl -n net.ipv4.ip_nonlocal_bind net.ipv6.ip_nonlocal_bind").stdout == "1\n1\n"
        )
    host = patient.hosts[patient.other(patient.holder)]
    host.run(listen)
    patient.up(PATIENT)
    patient.settle()
    for name in NAMES:
        assert (
            patient.hosts[name].run("sysctl -n net.ipv4.ip_nonlocal_bind net.ipv6.ip_nonlocal_bind").stdout == "0\n0\n"
        )


@pytest.mark.parametrize(
    ("vip", "said"),
    [
        (changed(routerId=0), "vip.instances[0].routerId (0): Input should be greater than or equal to 1"),
        ({**PATIENT, "instances": [FRONT, {**BACK, "routerId": 51}]}, "51 is that of instance 'front' on the same"),
        (changed(addresses=["192.0.2.5/24"]), "vip.instances[0].addresses[0]: '192.0.2.5/24' is not in the network of"),
        ({**PATIENT, "interface": "eth7"}, "eth7 is no network interface of this host, which has"),
        (changed(addresses=["10.204.0.5/8"]), "10.204.0.5 is outside the networks of eth0, 10.203.60."),
        (changed(addresses=[f"{ADDRESSES['outsider']}/24"]), f"{ADDRESSES['outsider']} is taken by "),
        (
            {**PATIENT, "hook": {"command": ["/usr/local/bin/hook"], "user": "nobody-there"}},
            "hook.user: nobody-there is no account of this host: make it first, or name another",
        ),
        (
            changed(trackScripts=[{"name": "gone", "command": ["/usr/bin/not-there"]}]),
            "instances[0].trackScripts[0].command: /usr/bin/not-there is no program of this host",
        ),
        (
            {**PATIENT, "hook": {"command": ["/usr/local/bin/not-there"]}},
            "hook.command: /usr/local/bin/not-there is no program of this host",
        ),
    ],
    ids=[
        "garbage",
        "a router id twice",
        "another network",
        "no interface",
        "off the link",
        "taken",
        "no user",
        "no program",
        "no hook",
    ],
)
def test_what_cannot_work_is_refused_and_all_serves_on(patient: Pair, vip: dict[str, Any], said: str) -> None:
    holder = patient.holder
    before = [
        patient.hosts[name].run("sha256sum /etc/keepalived/*; systemctl show -P MainPID keepalived").stdout
        for name in NAMES
    ]
    with patient.dialled() as client:
        outcome = patient.up(vip, check=False)
    assert outcome.code != 0
    assert said in outcome.text
    assert client.answers.hosts == [holder]
    after = [
        patient.hosts[name].run("sha256sum /etc/keepalived/*; systemctl show -P MainPID keepalived").stdout
        for name in NAMES
    ]
    assert after == before


def test_delete_restores_the_hosts(bare: Pair) -> None:
    bare.up(None)
    targets = {name: Target(bare.project, host) for name, host in bare.hosts.items()}
    before = {name: target.tree() for name, target in targets.items()}
    bare.up({**PATIENT, "nonlocalBind": True})
    bare.settle()
    bare.up(None)
    for name, target in targets.items():
        assert difference(before[name], target.tree()) == ""
        assert target.host.run("command -v keepalived", check=False).stdout == ""
        assert target.host.run("sysctl -n net.ipv4.ip_nonlocal_bind").stdout == "0\n"
    assert bare.holders() == bare.holders(VIP6) == []
