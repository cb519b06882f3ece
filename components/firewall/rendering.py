"""The files of a firewall: rules in, text out."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from components.firewall.settings import FirewallSettings, FlowProtocol, Mode, Refusal
from components.templates import Templates

RULES: Final = "/etc/sealed-data-tier/firewall.nft"
SCRIPT: Final = "/usr/local/sbin/sealed-data-tier-firewall"
UNIT: Final = "sealed-data-tier-firewall.service"

_TEMPLATES: Final = Templates(__file__)
_FINGERPRINT: Final = "@fingerprint@"
_FINGERPRINT_LENGTH: Final = 16
_REFUSALS: Final = {
    Refusal.DROP: {"tcp": "drop", "udp": "drop"},
    Refusal.REJECT: {"tcp": "reject with tcp reset", "udp": "reject"},
}
# By number: not every host has the names of /etc/protocols.
_NUMBERS: Final = {FlowProtocol.VRRP: 112}
_FAMILIES: Final = (("ip", ipaddress.IPv4Network), ("ip6", ipaddress.IPv6Network))


@dataclass(frozen=True, order=True)
class Rule:
    """A flow whose values are all known.

    Attributes:
        port: Its port; None for SSH, and for a protocol without ports.
        protocol: Its protocol.
        purpose: What for.
        networks: Who may; None for everybody.
    """

    port: int | None
    protocol: FlowProtocol
    purpose: str
    networks: tuple[str, ...] | None

    @property
    def is_ssh(self) -> bool:
        """Whether it is about the port on which the host takes SSH, whichever that is."""
        return self.port is None and self.protocol.has_ports


def rules(declared: Iterable[Rule], settings: FirewallSettings, ssh_port: int) -> str:
    """Render firewall.nft.

    The text depends on what is declared and not on its order. It ends up in the kernel with its own fingerprint, so
    that a host can tell which rules it has.

    Args:
        declared: Who may reach which port.
        settings: How everybody else is treated.
        ssh_port: Where the host takes SSH.
    """
    merged = list(_merged(declared))
    others = [rule for rule in merged if not rule.is_ssh]
    text = _TEMPLATES.render(
        "firewall.nft.j2",
        {
            "fingerprint": _FINGERPRINT,
            "deny": settings.mode is Mode.DENY,
            "refusals": _REFUSALS[settings.refusal],
            "ssh": list(_ssh(merged, settings, ssh_port)),
            "flows": [line for rule in others for line in _lines(rule)],
            "closed": _closed(others),
            "closed_protocols": _closed_protocols(others),
        },
    )
    return text.replace(_FINGERPRINT, hashlib.sha256(text.encode()).hexdigest()[:_FINGERPRINT_LENGTH])


def fingerprint(text: str) -> str:
    """Return the fingerprint that `rules` put into a text."""
    return text.partition('comment "sealed-data-tier ')[2].partition('"')[0]


def script() -> str:
    """Return the host's part: loads rules, and puts the former ones back unless they are confirmed."""
    return _TEMPLATES.render("firewall.sh", {})


def service_unit(settings: FirewallSettings) -> str:
    """Render the unit that loads the rules at every boot."""
    return _TEMPLATES.render("firewall.service.j2", {"script": SCRIPT, "seconds": settings.confirm_within})


def nftables_drop_in() -> str:
    """Return the drop-in of nftables.service, which removes every table of the host."""
    return _TEMPLATES.render("nftables.service.conf", {})


def _merged(declared: Iterable[Rule]) -> Iterator[Rule]:
    """Flows for the same purpose are one; their sources add up, and what another one holds goes."""

    def key(rule: Rule) -> tuple[int, FlowProtocol, str]:
        return rule.port or 0, rule.protocol, rule.purpose

    for _, group in groupby(sorted(declared, key=key), key):
        same = list(group)
        known = [each.networks for each in same if each.networks is not None]
        everybody = len(known) < len(same)
        networks = None if everybody else tuple(sorted({network for each in known for network in each}))
        yield Rule(same[0].port, same[0].protocol, same[0].purpose, networks)


def _lines(rule: Rule, port: int | None = None) -> Iterator[str]:
    match = f"{rule.protocol} dport {rule.port or port}" if rule.protocol.has_ports else _packets(rule.protocol)
    end = f'accept comment "{rule.purpose}"'
    if rule.networks is None:
        yield f"{match} {end}"
        return
    if not rule.networks:
        yield f"# {match}: nobody beyond this host, {rule.purpose}"
    parsed = [ipaddress.ip_network(network) for network in rule.networks]
    for name, family in _FAMILIES:
        networks: Sequence[Any] = [each for each in parsed if isinstance(each, family)]
        if networks:
            shown = ", ".join(map(_shown, ipaddress.collapse_addresses(networks)))
            yield f"{match} {name} saddr {{ {shown} }} {end}"


def _shown(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _ssh(merged: Iterable[Rule], settings: FirewallSettings, ssh_port: int) -> Iterator[str]:
    yield from _lines(Rule(None, FlowProtocol.TCP, "SSH", settings.ssh_sources), ssh_port)
    if settings.ssh_sources is not None:
        yield from (line for rule in merged if rule.is_ssh for line in _lines(rule, ssh_port))


def _packets(protocol: FlowProtocol) -> str:
    return f"meta l4proto {_NUMBERS[protocol]}"


def _closed(declared: Iterable[Rule]) -> Mapping[str, list[int]]:
    """Ports that are not for everybody, by protocol."""
    ports = [rule for rule in declared if rule.protocol.has_ports]
    open_ones = {(rule.protocol, rule.port) for rule in ports if rule.networks is None}
    closed: dict[str, list[int]] = {}
    for protocol, port in sorted({(rule.protocol, rule.port or 0) for rule in ports} - open_ones):
        closed.setdefault(protocol.value, []).append(port)
    return closed


def _closed_protocols(declared: Iterable[Rule]) -> list[str]:
    """Protocols without ports that are not for everybody."""
    whole = [rule for rule in declared if not rule.protocol.has_ports]
    open_ones = {rule.protocol for rule in whole if rule.networks is None}
    return [_packets(protocol) for protocol in sorted({rule.protocol for rule in whole} - open_ones)]
