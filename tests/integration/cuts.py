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
