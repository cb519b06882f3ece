"""What a firewall refuses, and what it says then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.errors import ConfigurationError
from components.firewall import FirewallArgs, FirewallSettings, Flow, FlowProtocol
from components.firewall.settings import shortened
from components.host import Host
from components.settings import InvalidConfigurationError, load
from tests.unit.ssh_tunnel_host.registered import host, register


def flow(**changes: Any) -> Flow:
    return Flow(**{"port": 6379, "sources": ["192.0.2.1"], "purpose": "Redis", **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"port": 0}, "flow[Redis].port: 0 cannot be used: give a number from 1 to 65535"),
        ({"port": 65536}, "flow[Redis].port: 65536 cannot be used: give a number from 1 to 65535"),
        ({"port": "https"}, "flow[Redis].port: 'https' cannot be used: give a number from 1 to 65535, or 'ssh'"),
        ({"port": "ssh", "protocol": FlowProtocol.UDP}, "flow[Redis].protocol: 'udp' cannot be used: SSH is tcp"),
        ({"port": None}, "flow[Redis].port: None cannot be used: tcp has ports: give the one it is for"),
        ({"protocol": FlowProtocol.VRRP}, "flow[Redis].port: 6379 cannot be used: vrrp has no ports: remove it"),
        ({"sources": "all"}, "flow[Redis].sources: 'all' cannot be used: give a list, or 'any'"),
        ({"sources": ["app1.example.com"]}, "a DNS name is no source address to a kernel"),
        ({"sources": ["192.0.2.1/24"]}, "has host bits set"),
        ({"sources": ["::ffff:192.0.2.1"]}, "IPv4 written as IPv6"),
        ({"sources": ["fe80::1%eth0"]}, "'fe80::1%eth0' is no source"),
        ({"purpose": ""}, "flow.purpose: '' cannot be used: say in one line of up to 120 bytes what it is for"),
        ({"purpose": " "}, "flow.purpose: ' ' cannot be used"),
        ({"purpose": 'a"b'}, "flow.purpose: 'a\"b' cannot be used"),
        ({"purpose": "a\nb"}, "flow.purpose: 'a\\nb' cannot be used"),
        ({"purpose": "ä" * 61}, "cannot be used: say in one line of up to 120 bytes"),
    ],
)
def test_flow_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        flow(**changes)
    assert message in str(refused.value)


def test_a_purpose_can_be_made_of_any_line() -> None:
    assert flow(purpose=shortened('"quoted" \\ ' + "ä" * 200)).purpose.startswith("'quoted' / ä")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"mode": "open"}, "firewall.mode ('open'): Input should be 'guard' or 'deny'"),
        ({"refusal": "ignore"}, "firewall.refusal ('ignore'): Input should be 'drop' or 'reject'"),
        (
            {"sshSources": ["10.0.0.1"]},
            "firewall.sshSources: guard closes no port of SSH to anybody: remove it, or set",
        ),
        ({"mode": "deny", "sshSources": []}, "firewall.sshSources: is empty: list at least one"),
        ({"mode": "deny", "sshSources": ["admin"]}, "firewall.sshSources[0]: 'admin' is no source"),
        ({"confirmWithin": 5}, "firewall.confirmWithin (5): Input should be greater than or equal to 15"),
        ({"sshPort": 0}, "firewall.sshPort (0): Input should be greater than or equal to 1"),
        ({"ports": [1]}, "firewall.ports: nobody reads this key: use one of confirmWithin, mode, refusal, sshPort"),
    ],
)
def test_settings_are_refused(data: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidConfigurationError) as refused:
        load(FirewallSettings, data, "firewall")
    (problem,) = refused.value.problems
    assert message in problem


def refusal(make: Callable[[Host], FirewallArgs]) -> str:
    """What is said of arguments."""
    said = []

    def program() -> None:
        with pytest.raises(ConfigurationError) as refused:
            make(host("db1"))
        said.append(str(refused.value))

    register(program)
    return said[0]


def test_the_port_that_the_host_is_reached_at_is_never_closed() -> None:
    said = refusal(lambda db1: FirewallArgs(host=db1, flows=[flow(port=22)]))
    assert said.startswith("flow[Redis].port: 22 cannot be used: it is where db1 takes SSH and is never closed")


def test_nor_is_the_one_on_which_sshd_listens() -> None:
    settings = load(FirewallSettings, {"sshPort": 2222}, "firewall")
    said = refusal(lambda db1: FirewallArgs(host=db1, flows=[flow(port=2222)], settings=settings))
    assert said.startswith("flow[Redis].port: 2222 cannot be used: it is where db1 takes SSH and is never closed")


def test_a_guard_needs_a_flow() -> None:
    assert "guard closes nothing without a port" in refusal(lambda db1: FirewallArgs(host=db1, flows=[]))
    ssh = flow(port="ssh")
    assert "guard closes nothing without a port" in refusal(lambda db1: FirewallArgs(host=db1, flows=[ssh]))


def test_a_protocol_without_ports_is_enough_for_a_guard() -> None:
    vrrp = Flow(sources=["192.0.2.12"], purpose="VRRP", protocol=FlowProtocol.VRRP)

    def program() -> None:
        assert FirewallArgs(host=host("lb1"), flows=[vrrp]).flows == [vrrp]

    register(program)


def test_outputs_are_looked_at_when_they_are_known() -> None:
    def program() -> None:
        late = flow(port=pulumi.Output.from_input(22), sources=[pulumi.Output.from_input("app1.example.com")])
        FirewallArgs(host=host("db1"), flows=[late])

    register(program)
