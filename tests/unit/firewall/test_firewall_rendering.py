"""What is written: golden files, and properties of whatever is accepted."""

from __future__ import annotations

import ipaddress
import os
import random
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.firewall import FirewallSettings, FlowProtocol, Mode, rendering
from components.firewall.rendering import Rule
from components.settings import load
from tests.unit.firewall.strategies import RULES, SETTINGS, SSH_PORT

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "firewall"


def render(data: dict[str, Any]) -> str:
    declared = [
        Rule(
            None if each.get("port") == "ssh" else each.get("port"),
            FlowProtocol(each.get("protocol", "tcp")),
            each["purpose"],
            None if each["sources"] == "any" else tuple(each["sources"]),
        )
        for each in data["flows"]
    ]
    return rendering.rules(declared, load(FirewallSettings, data.get("settings", {}), "firewall"), SSH_PORT)


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.yaml")))
def test_golden(name: str) -> None:
    """`UPDATE_GOLDEN=1 pytest tests/unit/firewall` writes the files anew, to be reviewed like code."""
    path = GOLDEN / f"{name}.nft"
    text = render(yaml.safe_load((GOLDEN / f"{name}.yaml").read_text()))
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@given(RULES, SETTINGS, st.randoms())
def test_order_and_repetition_mean_nothing(
    declared: list[Rule], given_settings: FirewallSettings, chance: random.Random
) -> None:
    mixed = [*declared, *declared]
    chance.shuffle(mixed)
    assert rendering.rules(mixed, given_settings, SSH_PORT) == rendering.rules(declared, given_settings, SSH_PORT)


@given(RULES, SETTINGS)
def test_ssh_is_never_closed(declared: list[Rule], given_settings: FirewallSettings) -> None:
    text = rendering.rules(declared, given_settings, SSH_PORT)
    assert SSH_PORT not in closed(text).get("tcp", set())
    if given_settings.mode is Mode.DENY:
        assert admitted(text, "tcp", SSH_PORT) != []


@given(RULES, SETTINGS)
def test_each_port_is_for_its_sources_and_closed_to_others(
    declared: list[Rule], given_settings: FirewallSettings
) -> None:
    text = rendering.rules(declared, given_settings, SSH_PORT)
    ports = {(rule.protocol, rule.port) for rule in declared if rule.port}
    for protocol, port in ports:
        wanted = [rule.networks for rule in declared if (rule.protocol, rule.port) == (protocol, port)]
        found = admitted(text, protocol, port or 0)
        if None in wanted:
            assert None in found
            assert port not in closed(text).get(protocol, set())
            continue
        addresses = {ipaddress.ip_network(each) for networks in wanted for each in networks or ()}
        known = [ipaddress.ip_network(each) for each in found if each is not None]
        assert collapsed(addresses) == collapsed(known)
        assert port in closed(text)[protocol]


@given(RULES, SETTINGS)
def test_a_protocol_without_ports_is_for_its_sources(declared: list[Rule], given_settings: FirewallSettings) -> None:
    text = rendering.rules(declared, given_settings, SSH_PORT)
    wanted = [rule.networks for rule in declared if rule.protocol is FlowProtocol.VRRP]
    accepted = r"^ *meta l4proto 112 (?:ip6? saddr { (.*?) } )?accept comment "
    found = [source or None for line in re.findall(accepted, text, re.MULTILINE) for source in line.split(", ")]
    is_closed = "meta l4proto 112 counter drop" in text
    assert is_closed == (bool(wanted) and None not in wanted)
    assert (None in found) == (None in wanted)
    if is_closed:
        addresses = {ipaddress.ip_network(each) for networks in wanted for each in networks or ()}
        assert collapsed(addresses) == collapsed([ipaddress.ip_network(each) for each in found if each])


@given(RULES, SETTINGS, RULES)
def test_other_rules_have_another_fingerprint(
    declared: list[Rule], given_settings: FirewallSettings, others: list[Rule]
) -> None:
    one, other = (rendering.rules(each, given_settings, SSH_PORT) for each in (declared, others))
    assert re.fullmatch("[0-9a-f]{16}", rendering.fingerprint(one))
    assert (rendering.fingerprint(one) == rendering.fingerprint(other)) == (one == other)


def collapsed(networks: Any) -> set[Any]:
    return {
        network
        for version in (4, 6)
        for network in ipaddress.collapse_addresses(each for each in networks if each.version == version)
    }


def admitted(text: str, protocol: str, port: int) -> list[str | None]:
    """Sources of every line that accepts a port; None for everybody."""
    lines = re.findall(rf"^ *{protocol} dport {port} (?:ip6? saddr {{ (.*?) }} )?accept comment ", text, re.MULTILINE)
    return [source or None for line in lines for source in line.split(", ")]


def closed(text: str) -> dict[str, set[int]]:
    found = re.findall(r"^ *(tcp|udp) dport { (.*?) } counter ", text, re.MULTILINE)
    return {protocol: {int(port) for port in ports.split(", ")} for protocol, ports in found}
