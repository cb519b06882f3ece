"""Who has which router id and address on a network segment: several groups of one stack may share one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from weakref import WeakKeyDictionary

from components.host import Host
from components.keepalived_vip.settings import KeepalivedVipSettings, Vip, VrrpInstance
from components.settings import InvalidConfigurationError

#: What groups have claimed so far, by the hosts that they were given: groups of one stack are given the same ones.
_CLAIMS: Final[WeakKeyDictionary[Host, dict[str, KeepalivedVipSettings]]] = WeakKeyDictionary()


def claim(name: str, settings: KeepalivedVipSettings, hosts: Mapping[str, Host]) -> None:
    """Enter a group, unless another one of the same stack is in its way.

    Args:
        name: The group's name.
        settings: Its instances.
        hosts: Hosts that it was given, its own and all others.

    Raises:
        InvalidConfigurationError: With every clash.
    """
    others = {other: known for host in hosts.values() for other, known in _CLAIMS.get(host, {}).items()}
    problems = [
        problem
        for other, known in others.items()
        for instance in settings.instances
        for neighbour in known.instances
        for problem in _clashes(f"{name}.{instance.name}", instance, f"{other}.{neighbour.name}", neighbour)
    ]
    if problems:
        raise InvalidConfigurationError(problems)
    for host in hosts.values():
        _CLAIMS.setdefault(host, {})[name] = settings


def _clashes(here: str, instance: VrrpInstance, there: str, neighbour: VrrpInstance) -> Iterator[str]:
    if instance.router_id == neighbour.router_id and _share_segment(instance.addresses, neighbour.addresses):
        fix = "give each instance of a segment its own"
        yield f"{here}.routerId: {instance.router_id} is that of {there} on the same segment: {fix}"
    taken = {vip.ip for vip in neighbour.addresses}
    for vip in instance.addresses:
        if vip.ip in taken:
            yield f"{here}.addresses: '{vip.ip}' is an address of {there} already: remove one"


def _share_segment(some: tuple[Vip, ...], others: tuple[Vip, ...]) -> bool:
    return any(one.version == other.version and one.network.overlaps(other.network) for one in some for other in others)
