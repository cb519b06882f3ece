"""What is taken from a lab host without a word to anybody: its network, or a part of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from lab.machine import LabHost

_TABLE: Final = "lab_cut"
#: As if the cable were out at the switch's end: ARP and neighbour discovery are cut too, and the link stays up.
SILENT: Final = f"""
table netdev {_TABLE} {{
    chain in {{ type filter hook ingress device eth0 priority 0; policy drop; }}
    chain out {{ type filter hook egress device eth0 priority 0; policy drop; }}
}}
"""
#: It still speaks, and hears nobody.
DEAF: Final = f"""
table netdev {_TABLE} {{
    chain in {{ type filter hook ingress device eth0 priority 0; policy drop; }}
}}
"""
#: Only VRRP is cut.
NO_VRRP: Final = f"""
table inet {_TABLE} {{
    chain in {{ type filter hook prerouting priority -400; meta l4proto 112 drop; }}
    chain out {{ type filter hook output priority -400; meta l4proto 112 drop; }}
}}
"""
_LOST: Final = "lost"
_ADVERT_BYTES: Final = 32  # of VRRPv3 with one IPv4 address: 20 of IP, 12 of its own


def adverts_lost(number: int) -> str:
    """Return rules by which a host misses so many adverts of one IPv4 address, and hears those that follow."""
    return f"""
table inet {_TABLE} {{
    counter {_LOST} {{}}
    chain in {{
        type filter hook prerouting priority -400
        meta l4proto 112 quota {number * _ADVERT_BYTES + 1} bytes counter name {_LOST} drop
    }}
}}
"""


def lost(host: LabHost) -> int:
    """How many adverts a host has missed so far, under `adverts_lost`."""
    words = host.run(f"nft list counter inet {_TABLE} {_LOST}").stdout.split()
    return int(words[words.index("packets") + 1])


@dataclass
class Cut:
    """Something that was cut.

    Attributes:
        healed_at: Seconds since the epoch, by the host's own clock; None as long as it lasts.
    """

    healed_at: float | None = None


@contextmanager
def cut(host: LabHost, rules: str) -> Iterator[Cut]:
    """Load rules on a host, and remove them in the end."""
    family = rules.split()[1]
    made = Cut()
    host.run("nft -f -", stdin=rules)
    try:
        yield made
    finally:
        made.healed_at = float(host.run(f"nft delete table {family} {_TABLE} && date +%s.%N").stdout)
