"""Names of hosts and accounts, checked where they enter."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

# RFC 1123 labels. The underscore is left out on purpose: certificates and HAProxy's server lines disagree about it.
_LABEL: Final = re.compile(r"^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$")
_LONGEST_NAME: Final = 253
# What useradd takes everywhere (shadow-utils, NAME_REGEX of Debian).
_ACCOUNT: Final = re.compile(r"^[a-z_][a-z0-9_-]{0,30}$")


def is_address(name: str) -> bool:
    """Tell whether a name is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def host_name(name: str) -> str:
    """Accept a DNS name or an IP address.

    Raises:
        ValueError: With the value and what to write instead.
    """
    dotted = name.rstrip(".").split(".")
    if is_address(name) or (len(name) <= _LONGEST_NAME and all(map(_LABEL.match, dotted)) and not dotted[-1].isdigit()):
        return name
    raise ValueError(f"{name!r} is no host name: give a DNS name (letters, digits, hyphens) or an IPv4 or IPv6 address")


def account_name(name: str) -> str:
    """Accept the name of a system account.

    Raises:
        ValueError: With the value and what to write instead.
    """
    if _ACCOUNT.match(name):
        return name
    raise ValueError(f"{name!r} is no account name: use up to 31 lower-case letters, digits, '_' and '-'")


def bracketed(address: str) -> str:
    """Write an address where a port follows it: IPv6 in brackets."""
    return f"[{address}]" if ":" in address else address
