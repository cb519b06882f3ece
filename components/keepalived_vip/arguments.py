"""What virtual IPs need, and what that asks of their hosts."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.errors import ConfigurationError
from components.firewall import Flow, FlowProtocol
from components.firewall.settings import shortened
from components.host import Host, debian_host
from components.inputs import combined
from components.keepalived_vip.settings import Address, KeepalivedVipSettings
from components.names import is_address
from components.settings import InvalidConfigurationError, Location, property_path


@dataclass(frozen=True, kw_only=True)
class KeepalivedVipArgs:
    """What virtual IPs need.

    Attributes:
        settings: Nodes, instances and how they move.
        hosts: Hosts by their name in the stack, others too; one keepalived a host. Groups that are given the same
            hosts are kept from each other's router ids and addresses.
        where: Property path of the settings, for errors; default none.
        locate: Where below `where` the stack has what these settings have at a location, for errors: a component may
            have made them of its own. Default: at the same one.
        after: What has to be there before any node changes: firewalls that let the peers' adverts in.
    """

    settings: KeepalivedVipSettings
    hosts: Mapping[str, Host]
    where: str = ""
    locate: Callable[[Location], Location] = lambda location: location
    after: Sequence[pulumi.Resource] = ()

    def __post_init__(self) -> None:
        """Refuse hosts that are not there, that this cannot run on, or whose addresses do not fit.

        Raises:
            ConfigurationError: With the property path, the value and the fix.
            InvalidConfigurationError: The same of several problems. Outputs are looked at when known.
        """
        for at, node in enumerate(self.settings.nodes):
            debian_host(self.hosts, node.host, self.path(("nodes", at, "host")))
        self.checked({host: text for host, text in self._addresses() if isinstance(text, str)})

    def path(self, location: Location) -> str:
        """Return the property path of a location of the settings."""
        return property_path(self.where, self.locate(location)).lstrip(".")

    def _addresses(self) -> Iterator[tuple[str, pulumi.Input[str]]]:
        for node in self.settings.nodes:
            yield node.host, str(node.address) if node.address else self.hosts[node.host].dialled

    def checked(self, texts: Mapping[str, str]) -> dict[str, Address]:
        """Return addresses that are known by now.

        Args:
            texts: Address by host, of some or all nodes.

        Raises:
            ConfigurationError: If one is a name.
            InvalidConfigurationError: If they do not fit the virtual IPs, or each other.
        """
        for at, node in enumerate(self.settings.nodes):
            if node.host in texts and not is_address(texts[node.host]):
                fix = "VRRP speaks from an address to addresses: give nodes[].address"
                raise ConfigurationError(self.path(("nodes", at, "address")), texts[node.host], fix)
        addresses = {host: ipaddress.ip_address(text) for host, text in texts.items()}
        problems = list(self.settings.address_problems(addresses))
        if problems:
            raise InvalidConfigurationError([f"{self.path(location)}: {text}" for location, text in problems])
        return addresses

    def with_addresses(self, render: Callable[[Mapping[str, Address]], str]) -> pulumi.Input[str]:
        """Render what needs every node's address, as soon as all are known."""
        known = list(self._addresses())
        hosts = [host for host, _ in known]

        def rendered(*texts: str) -> str:
            return render(self.checked(dict(zip(hosts, texts, strict=True))))

        return combined(rendered, *(text for _, text in known))

    def flows(self, host: str) -> list[Flow]:
        """Return what a node on this host needs of its firewall: VRRP from its peers, and from nobody else."""
        peers = [address for other, address in self._addresses() if other != host]
        purpose = shortened(f"VRRP of {', '.join(_names(self.settings))}")
        return [Flow(protocol=FlowProtocol.VRRP, sources=peers, purpose=purpose)]


def _names(settings: KeepalivedVipSettings) -> Iterable[str]:
    return (instance.name for instance in settings.instances)
