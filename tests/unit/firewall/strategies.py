"""Whatever a firewall may be told."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from hypothesis import strategies as st

from components.firewall import FirewallSettings, Flow, FlowProtocol, Mode, Refusal
from components.firewall.rendering import Rule
from components.settings import load

SSH_PORT: Final = 22
_NETWORKS: Final = st.one_of(
    st.ip_addresses().map(str),
    st.tuples(st.ip_addresses(v=4), st.integers(1, 32)).map(lambda each: ipaddress.ip_network(each, strict=False)),
    st.tuples(st.ip_addresses(v=6), st.integers(1, 128)).map(lambda each: ipaddress.ip_network(each, strict=False)),
).map(str)
_PORTS: Final = st.integers(1, 65535).filter(lambda port: port != SSH_PORT)
_PURPOSES: Final = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters='"\\'), min_size=1, max_size=30
)


def _possible(network: str) -> bool:
    known = ipaddress.ip_network(network)
    return not (isinstance(known, ipaddress.IPv6Network) and known.network_address.ipv4_mapped)


NETWORKS: Final = st.lists(_NETWORKS.filter(_possible), max_size=6)


def _rule(port: int | None, protocol: FlowProtocol, purpose: str, networks: list[str] | None) -> Rule:
    whole = not protocol.has_ports
    flow = Flow(
        port=None if whole else port or "ssh",
        sources="any" if networks is None else networks,
        purpose=purpose,
        protocol=protocol if port or whole else FlowProtocol.TCP,
    )
    known = None if networks is None else tuple(flow.checked_sources(networks))
    return Rule(None if whole else port, flow.protocol, flow.purpose, known)


RULES: Final = st.lists(
    st.builds(_rule, st.none() | _PORTS, st.sampled_from(FlowProtocol), _PURPOSES, st.none() | NETWORKS), max_size=8
)


def _settings(mode: Mode, refusal: Refusal, ssh_sources: list[str]) -> FirewallSettings:
    data: dict[str, Any] = {"mode": mode.value, "refusal": refusal.value}
    if mode is Mode.DENY and ssh_sources:
        data["sshSources"] = ssh_sources
    return load(FirewallSettings, data, "firewall")


SETTINGS: Final = st.builds(_settings, st.sampled_from(Mode), st.sampled_from(Refusal), NETWORKS)
