"""Whether this machine can have a lab's networks."""

from __future__ import annotations

import json
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from lab.console import LabError, answer
from lab.settings import LabSettings

Network = IPv4Network | IPv6Network


def check(settings: LabSettings) -> None:
    """Refuses what Docker would refuse less clearly, or not at all: it takes the subnets of the machine's interfaces.

    Raises:
        LabError: With what stands in the way and the setting to change.
    """
    if settings.subnet6 and not Path("/proc/net/if_inet6").exists():
        raise LabError("lab.subnet6: this machine's kernel has no IPv6. Set lab.subnet6 to null.")
    for key, subnet in (("lab.subnet", settings.subnet), ("lab.subnet6", settings.subnet6)):
        for owner, taken in _taken(settings):
            if subnet and taken.version == subnet.version and taken.overlaps(subnet):
                raise LabError(
                    f"{key}: {subnet} overlaps {taken}, which belongs to {owner}. Set {key} to a free network."
                )


def _taken(settings: LabSettings) -> list[tuple[str, Network]]:
    """Docker's networks and the machine's interfaces, except this lab's own."""
    networks = json.loads(answer("sh", "-c", "docker network inspect $(docker network ls --quiet)") or "[]")
    own = [network["Id"] for network in networks if network["Name"] == settings.prefix]
    taken = [
        (f"Docker's network {network['Name']}", ip_network(pool["Subnet"]))
        for network in networks
        if network["Id"] not in own
        for pool in network["IPAM"]["Config"] or ()
        if pool.get("Subnet")
    ]
    bridges = {f"br-{network_id[:12]}" for network_id in own}
    for interface in json.loads(answer("ip", "-json", "address") or "[]"):
        if interface["ifname"] not in bridges:
            taken += [
                (f"interface {interface['ifname']}", ip_network(f"{each['local']}/{each['prefixlen']}", strict=False))
                for each in interface["addr_info"]
            ]
    return taken
