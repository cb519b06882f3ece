"""What virtual IPs refuse, and what they say then."""

from __future__ import annotations

from typing import Any, Final

import pytest

from components.errors import ConfigurationError
from components.host import Family
from components.keepalived_vip import KeepalivedVip, KeepalivedVipArgs, KeepalivedVipSettings
from components.settings import InvalidConfigurationError, load
from tests.unit.ssh_tunnel_host.registered import host, register

SCRIPT: Final[dict[str, Any]] = {"name": "check", "command": ["/usr/bin/check"]}
INSTANCE: Final[dict[str, Any]] = {"name": "front", "routerId": 51, "addresses": ["192.0.2.5/24"]}
GROUP: Final[dict[str, Any]] = {
    "nodes": [{"host": "lb1"}, {"host": "lb2"}],
    "interface": "eth0",
    "instances": [INSTANCE],
}


def instance(**changes: Any) -> dict[str, Any]:
    return {"instances": [{**INSTANCE, **changes}]}


def script(**changes: Any) -> dict[str, Any]:
    return instance(trackScripts=[{**SCRIPT, **changes}])


def nodes(*addresses: str) -> dict[str, Any]:
    return {"nodes": [{"host": f"lb{at}", "address": each} for at, each in enumerate(addresses, start=1)]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes": []}, "vip.nodes: 0 given: an address can only move between two or more: list them"),
        ({"nodes": [{"host": "lb1"}]}, "vip.nodes: 1 given: an address can only move between two or more"),
        ({"nodes": [{"host": "lb1"}, {"host": "lb1"}]}, "vip.nodes[1].host: 'lb1' is listed twice: remove one"),
        ({"interface": "eth0; reboot"}, "vip.interface: 'eth0; reboot' is no network interface"),
        ({"interface": "a-name-of-16-byte"}, "is no network interface: give a name such as 'eth0', up to 15"),
        ({"instances": []}, "vip.instances: is empty: list at least one"),
        ({"garpRefresh": 0}, "vip.garpRefresh (0): Input should be greater than or equal to 1"),
        ({"password": "x"}, "vip.password: nobody reads this key: use one of garpRefresh, hook, instances"),
        (instance(routerId=0), "vip.instances[0].routerId (0): Input should be greater than or equal to 1"),
        (instance(routerId=256), "vip.instances[0].routerId (256): Input should be less than or equal to 255"),
        (instance(name="a b"), "vip.instances[0].name: 'a b' is no name"),
        (instance(addresses=[]), "vip.instances[0].addresses: is empty: list at least one"),
        (instance(addresses=["192.0.2.5"]), "vip.instances[0].addresses[0]: '192.0.2.5' has no prefix length"),
        (instance(addresses=["lb.example.com/24"]), "'lb.example.com/24' is no address"),
        (instance(addresses=["192.0.2.0/24"]), "'192.0.2.0/24' is the network itself: give an address in it"),
        (instance(addresses=["192.0.2.255/24"]), "'192.0.2.255/24' is the network's broadcast address"),
        (instance(addresses=["127.0.0.5/8"]), "'127.0.0.5/8' cannot move between hosts"),
        (instance(addresses=["fe80::5/64"]), "'fe80::5/64' cannot move between hosts"),
        (instance(addresses=["224.0.0.18/24"]), "'224.0.0.18/24' cannot move between hosts"),
        (instance(addresses=["::ffff:192.0.2.5/120"]), "'::ffff:192.0.2.5/120' is IPv4 written as IPv6"),
        (
            instance(addresses=["192.0.2.5/24", "192.0.2.5/24"]),
            "vip.instances[0].addresses[1]: '192.0.2.5' is an address of instance 'front' already: remove one",
        ),
        (instance(advertInterval=0), "vip.instances[0].advertInterval (0): Input should be greater than or equal to"),
        (instance(advertInterval=0.125), "advertInterval: 0.125 is no multiple of 0.01, in which VRRPv3 counts"),
        (instance(lostAdverts=1), "vip.instances[0].lostAdverts (1): Input should be greater than or equal to 2"),
        (
            instance(priorities={"lb1": 100, "lb9": 90, "lb2": 80}),
            "priorities.lb9: 'lb9' is none of the nodes lb1, lb2",
        ),
        (instance(priorities={"lb1": 100}), "vip.instances[0].priorities: lb2 has none: give each node a priority"),
        (
            instance(priorities={"lb1": 100, "lb2": 100}),
            "vip.instances[0].priorities.lb2: 100 is that of 'lb1' too, and neither would yield to the other",
        ),
        (
            instance(priorities={"lb1": 255, "lb2": 1}),
            "priorities.lb1 (255): Input should be less than or equal to 254",
        ),
        (
            {"instances": [INSTANCE, {**INSTANCE, "name": "back", "addresses": ["192.0.2.6/24"]}]},
            "vip.instances[1].routerId: 51 is that of instance 'front' on the same segment: give each its own",
        ),
        (
            {"instances": [INSTANCE, {**INSTANCE, "routerId": 52, "addresses": ["192.0.2.6/24"]}]},
            "vip.instances[1].name: 'front' is that of instance 'front' on the same segment: give each its own",
        ),
        (
            {"instances": [INSTANCE, {**INSTANCE, "name": "back", "routerId": 52}]},
            "vip.instances[1].addresses[0]: '192.0.2.5' is an address of instance 'front' already: remove one",
        ),
        (nodes("192.0.2.5", "192.0.2.12"), "vip.nodes[0].address: '192.0.2.5' is a virtual IP of 'front'"),
        (nodes("192.0.2.11", "192.0.2.11"), "vip.nodes[1].address: '192.0.2.11' is the address of 'lb1' too"),
        (
            nodes("192.0.2.11", "2001:db8::2"),
            "vip.nodes[1].address: '2001:db8::2' is not of the family of '192.0.2.11'",
        ),
        (nodes("2001:db8::1", "2001:db8::2"), "vip.instances[0].addresses: none is of IPv6, in which the nodes speak"),
        (
            nodes("198.51.100.1", "192.0.2.12"),
            "vip.instances[0].addresses[0]: '192.0.2.5/24' is not in the network of 198.51.100.1: correct the address",
        ),
        (script(command=[]), "vip.instances[0].trackScripts[0].command: is empty: list at least one"),
        (script(command=["check"]), "trackScripts[0].command: 'check' is no program: give its absolute path"),
        (script(command=["/bin/sh", "-c", "exit 0; x"]), "'exit 0; x' cannot be a word of a command: use letters"),
        (script(command=["/bin/echo", "$HOME"]), "'$HOME' cannot be a word of a command"),
        (script(command=["/bin/echo", '"']), "cannot be a word of a command"),
        (script(command=["/bin/echo", "a\nb"]), "cannot be a word of a command"),
        (script(user="root"), "trackScripts[0].user: 'root' is too much for a script: name another account"),
        (script(user="a b"), "'a b' is no account name"),
        (script(interval=0), "trackScripts[0].interval (0): Input should be greater than or equal to 0.05"),
        (
            script(interval=0.3333),
            "trackScripts[0].interval: 0.3333 is no multiple of 0.001, in which keepalived counts",
        ),
        (script(interval=1, timeout=3), "timeout: 3 is longer than fall times interval: a hang would be noticed late"),
        (script(weight=-50), "weight: -50 moves nothing without preempt, since a holder is left alone"),
        (script(weight=300), "trackScripts[0].weight (300): Input should be less than or equal to 253"),
        (
            instance(preempt=True, trackScripts=[{**SCRIPT, "weight": -1}]),
            "trackScripts[0].weight: -1 does not outweigh 1, the gap between the priorities: use more, or 0",
        ),
        (instance(trackScripts=[SCRIPT, SCRIPT]), "trackScripts[1].name: 'check' is the name of another one"),
        ({"hook": {"command": ["/bin/hook"], "user": "root"}}, "vip.hook.user: 'root' is too much for a script"),
        ({"hook": {"command": ["/bin/hook"], "timeout": 0}}, "vip.hook.timeout (0): Input should be greater than or"),
        (
            {"mail": {"sender": "Ops <ops@example.com>", "recipients": ["a@example.com"]}},
            "vip.mail.sender: 'Ops <ops@example.com>' is no mail address: write it as 'ops@example.com'",
        ),
        ({"mail": {"sender": "a@example.com", "recipients": []}}, "vip.mail.recipients: is empty: list at least one"),
        (
            {"mail": {"sender": "a@example.com", "recipients": ["b@example.com"], "server": "a b"}},
            "vip.mail.server: 'a b' is no host name",
        ),
    ],
)
def test_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidConfigurationError) as refused:
        load(KeepalivedVipSettings, {**GROUP, **changes}, "vip")
    assert any(message in problem for problem in refused.value.problems), refused.value.problems


def test_defaults_are_those_of_the_manuals_pair() -> None:
    settings = load(KeepalivedVipSettings, GROUP, "vip")
    assert settings.priorities(settings.instances[0]) == {"lb1": 101, "lb2": 100}
    assert not settings.instances[0].preempt


def refusal(data: dict[str, Any], **hosts: dict[str, Any]) -> str:
    """What is said of arguments with these hosts."""
    said = []

    def program() -> None:
        settings = load(KeepalivedVipSettings, data, "vip")
        known = {name: host(name, **args) for name, args in hosts.items()}
        with pytest.raises((ConfigurationError, InvalidConfigurationError)) as refused:
            KeepalivedVipArgs(settings=settings, hosts=known, where="vip")
        said.append(str(refused.value))

    register(program)
    return said[0]


LB1: Final = {"address": "192.0.2.11"}


@pytest.mark.parametrize(
    ("lb2", "message"),
    [
        ({"address": "lb2.example.com"}, "vip.nodes[1].address: 'lb2.example.com' cannot be used: VRRP speaks from"),
        ({"address": "192.0.2.5"}, "vip.nodes[1].address: '192.0.2.5' is a virtual IP of 'front'"),
        ({"address": "192.0.2.11"}, "vip.nodes[1].address: '192.0.2.11' is the address of 'lb1' too"),
        ({"address": "203.0.113.1"}, "vip.instances[0].addresses[0]: '192.0.2.5/24' is not in the network of"),
        (
            {"address": "192.0.2.12", "family": Family.RHEL},
            "vip.nodes[1].host: 'lb2' cannot be used: use a host of the",
        ),
    ],
)
def test_hosts_that_do_not_fit_are_refused(lb2: dict[str, Any], message: str) -> None:
    assert message in refusal(GROUP, lb1=LB1, lb2=lb2)


def test_a_host_that_is_not_there() -> None:
    assert "vip.nodes[1].host: 'lb2' cannot be used: name a host of the stack: lb1" in refusal(GROUP, lb1=LB1)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"routerId": 51, "addresses": ["192.0.2.6/24"]}, "routerId: 51 is that of front.instances[0] on the same"),
        (
            {"routerId": 52, "addresses": ["192.0.2.5/24"]},
            "addresses[0]: '192.0.2.5' is an address of front.instances[0]",
        ),
        ({"routerId": 51, "addresses": ["192.0.2.70/26"]}, "routerId: 51 is that of front.instances[0]"),
    ],
)
def test_groups_of_one_segment_do_not_clash(other: dict[str, Any], message: str) -> None:
    def program() -> None:
        hosts = {f"lb{number}": host(f"lb{number}", address=f"192.0.2.{70 + number}") for number in (1, 2, 3, 4)}
        front = load(KeepalivedVipSettings, GROUP, "front")
        pair = {"nodes": [{"host": "lb3"}, {"host": "lb4"}], "instances": [{**other, "name": "other"}]}
        back = load(KeepalivedVipSettings, {**GROUP, **pair}, "back")
        KeepalivedVip("front", KeepalivedVipArgs(settings=front, hosts=hosts))
        with pytest.raises(InvalidConfigurationError) as refused:
            KeepalivedVip("back", KeepalivedVipArgs(settings=back, hosts=hosts))
        assert f"back.instances[0].{message}" in str(refused.value)

    register(program)


def test_the_same_router_id_on_another_segment_is_fine() -> None:
    def program() -> None:
        hosts = {f"lb{number}": host(f"lb{number}", address=f"192.0.2.1{number}") for number in (1, 2)}
        hosts |= {f"lb{number}": host(f"lb{number}", address=f"198.51.100.1{number}") for number in (3, 4)}
        elsewhere = {"nodes": [{"host": "lb3"}, {"host": "lb4"}], **instance(addresses=["198.51.100.5/24"])}
        for name, data in (("front", GROUP), ("back", {**GROUP, **elsewhere})):
            settings = load(KeepalivedVipSettings, data, name)
            KeepalivedVip(name, KeepalivedVipArgs(settings=settings, hosts=hosts))

    assert {"front", "back"} <= set(register(program))
