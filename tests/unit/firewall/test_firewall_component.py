"""What the engine is told: types, names, inputs, and in which order things happen."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pytest

from components.firewall import Firewall, FirewallArgs, FirewallSettings, Flow, FlowProtocol, rendering
from components.firewall.rendering import RULES, UNIT
from components.host import Family
from components.settings import load
from tests.unit.ssh_tunnel_host.registered import STACK, Registered, host, register, revealed

FLOWS: Final = (
    Flow(port=6379, sources=["192.0.2.11", ["192.0.2.12", "2001:db8::1"]], purpose="Redis clients"),
    Flow(port=30379, sources=[], purpose="NodePort"),
)


def firewall(*flows: Flow, family: Family = Family.DEBIAN, **settings: Any) -> dict[str, Registered]:
    def program() -> None:
        args = FirewallArgs(
            host=host("db1", family=family),
            flows=flows or FLOWS,
            settings=load(FirewallSettings, settings, "firewall"),
        )
        Firewall("guard", args)

    return register(program)


def rules(registered: dict[str, Registered]) -> str:
    return str(registered["guard-firewall"].inputs["files"][RULES])


def test_types_and_parents() -> None:
    registered = firewall()
    names = ("guard", "guard-firewall", "db1-firewall", "db1-firewall-lets-ssh-in")
    assert {name: (registered[name].kind, registered[name].parent) for name in names} == {
        "guard": ("sealed-data-tier:firewall:Firewall", STACK),
        "guard-firewall": ("sealed-data-tier:host:Role", "guard"),
        "db1-firewall": ("command:remote:Command", "guard-firewall"),
        "db1-firewall-lets-ssh-in": ("command:remote:Command", "guard"),
    }


def test_reviewers_see_the_rules() -> None:
    registered = firewall()
    inputs = registered["guard-firewall"].inputs
    assert 'tcp dport 6379 ip saddr { 192.0.2.11, 192.0.2.12 } accept comment "Redis clients"' in rules(registered)
    assert 'tcp dport 6379 ip6 saddr { 2001:db8::1 } accept comment "Redis clients"' in rules(registered)
    assert "tcp dport { 6379, 30379 } counter drop" in rules(registered)
    assert inputs["units"] == [UNIT]
    assert inputs["validations"] == {"nft -c": f"nft -c -f @{{{RULES}}}"}
    assert "secretFiles" not in inputs


def test_a_protocol_without_ports() -> None:
    peer = pulumi.Output.from_input("192.0.2.12")
    text = rules(firewall(Flow(sources=[peer], purpose="VRRP", protocol=FlowProtocol.VRRP)))
    assert 'meta l4proto 112 ip saddr { 192.0.2.12 } accept comment "VRRP"' in text
    assert "meta l4proto 112 counter drop" in text


def test_values_may_come_later() -> None:
    late = Flow(
        port=pulumi.Output.from_input(6379),
        sources=[pulumi.Output.from_input("192.0.2.12"), pulumi.Output.from_input(["2001:db8::1", "192.0.2.11"])],
        purpose="Redis clients",
    )
    assert rules(firewall(late, FLOWS[1])) == rules(firewall())


def test_a_late_value_is_refused_as_well() -> None:
    with pytest.raises(ValueError, match="where db1 takes SSH and is never closed"):
        firewall(Flow(port=pulumi.Output.from_input(22), sources=[], purpose="late"))
    with pytest.raises(ValueError, match="a DNS name is no source address"):
        firewall(Flow(port=1, sources=[pulumi.Output.from_input("app1.example.com")], purpose="late"))


def test_the_confirmation_names_the_rules_and_waits_for_longer_than_they_do() -> None:
    registered = firewall(confirmWithin=30)
    command = registered["db1-firewall-lets-ssh-in"].inputs
    assert revealed(command["stdin"]).splitlines()[-1] == rendering.fingerprint(rules(registered))
    assert "confirm" in command["create"]
    assert "delete" not in command
    pauses = [min(0.1 * 1.5**number, 5) for number in range(int(revealed(command["connection"])["dialErrorLimit"]))]
    assert sum(pauses) > 30
    assert "try 30" in registered["guard-firewall"].inputs["files"][f"/etc/systemd/system/{UNIT}"]


def test_family() -> None:
    inputs = firewall(family=Family.RHEL)["guard-firewall"].inputs
    assert inputs["packages"] == ["nftables", "iproute"]
