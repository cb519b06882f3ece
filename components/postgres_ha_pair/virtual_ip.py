"""The virtual IP of a pair: what keepalived is told so that the leader holds it, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import ValidationError

from components.keepalived_vip.settings import Address, KeepalivedVipSettings, TrackScript, VrrpInstance, VrrpNode
from components.postgres_ha_pair.rendering import VIRTUAL_IP_HERE
from components.postgres_ha_pair.settings import PostgresHaSettings, VirtualIpSettings
from components.settings import Location, Problem

# The other host is never to hold the addresses while this one leads, so that lost adverts cannot move them: whoever
# has just begun to lead need not wait long for adverts of a former leader.
_ADVERT_INTERVAL_S: Final = 0.1
_LOST_ADVERTS: Final = 2

_INTERVAL_S: Final = 0.25
_FALL: Final = 2
_CHECK: Final = TrackScript(
    name="leader", command=(VIRTUAL_IP_HERE,), interval=_INTERVAL_S, timeout=_INTERVAL_S * _FALL, fall=_FALL, rise=1
)


def keepalived(settings: PostgresHaSettings, vip: VirtualIpSettings) -> KeepalivedVipSettings:
    """Say what keepalived is told.

    Args:
        settings: The pair.
        vip: Its addresses.

    Raises:
        ValidationError: If the addresses cannot be used.
    """
    return KeepalivedVipSettings(
        nodes=tuple(VrrpNode(host=node.host, address=node.address) for node in settings.nodes),
        interface=vip.interface,
        instances=(
            VrrpInstance(
                name=settings.name,
                router_id=vip.router_id,
                addresses=tuple(map(str, vip.addresses)),
                advert_interval=_ADVERT_INTERVAL_S,
                lost_adverts=_LOST_ADVERTS,
                track_scripts=(_CHECK,),
                follows_leader=True,
            ),
        ),
        hook=vip.hook,
        mail=vip.mail,
    )


def problems(
    settings: PostgresHaSettings, vip: VirtualIpSettings, addresses: Mapping[str, Address]
) -> Iterator[Problem]:
    """Say what is wrong with the addresses, in the words of the pair's settings.

    Args:
        settings: The pair.
        vip: Its addresses.
        addresses: Address of each node by host, as far as they are known.
    """
    for address in vip.addresses:
        if address.ip in settings.virtual_addresses:
            yield ("virtualAddresses",), f"'{address.ip}' is moved by virtualIp: remove it here"
    try:
        found = keepalived(settings, vip).address_problems(addresses)
        yield from ((in_pair(where), text) for where, text in found)
    except ValidationError as error:
        yield from ((in_pair(each["loc"]), str(each["ctx"]["error"])) for each in error.errors())


def in_pair(where: Location) -> Location:
    """Return where a pair's settings have what those of keepalived have at a location.

    Nodes are the pair's own; all else is said of its one instance.
    """
    return where if where[0] == "nodes" else ("virtualIp", *where[2:])
