"""Addresses as listeners write them, and the one question about them: who can reach this?"""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Tell whether an address can only be reached from its own host.

    Args:
        host: An IPv4 or IPv6 address (brackets and zone allowed) or a name. Names other than `localhost` are not
            loopback: who answers for them is decided elsewhere.
    """
    bare = host.strip().removeprefix("[").removesuffix("]")
    if bare.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def split_port(endpoint: str) -> tuple[str, str]:
    """Split `host:port` at the port's colon; IPv6 with or without brackets. No port: an empty one."""
    if endpoint.startswith("[") and "]" in endpoint:
        host, _, port = endpoint[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = endpoint.rpartition(":")
    return host, port
