"""Who has which router id and address on a network segment: several groups of one stack may share one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final
from weakref import WeakKeyDictionary

from components.host import Host
from components.keepalived_vip.arguments import KeepalivedVipArgs
from components.keepalived_vip.settings import Vip, VrrpInstance
from components.settings import InvalidConfigurationError


@dataclass(frozen=True)
class _Claim:
    """An instance, and the property path by which the stack knows it."""

    path: str
    instance: VrrpInstance


#: What groups have claimed so far, by the hosts that they were given: groups of one stack are given the same ones.
_CLAIMS: Final[WeakKeyDictionary[Host, dict[str, list[_Claim]]]] = WeakKeyDictionary()


def claim(name: str, args: KeepalivedVipArgs) -> None:
    """Enter a group, unless another one of the same stack is in its way.

    Args:
        name: The group's name, which stands for the property path of its settings where there is none.
        args: Its instances, and the hosts that it was given, its own and all others.

    Raises:
        InvalidConfigurationError: With every clash.
    """
    known = args if args.where else replace(args, where=name)
    own = [_Claim(known.path(("instances", at)), each) for at, each in enumerate(args.settings.instances)]
    others = {other: claims for host in args.hosts.values() for other, claims in _CLAIMS.get(host, {}).items()}
    problems = [
        problem for claims in others.values() for here in own for there in claims for problem in _clashes(here, there)
    ]
    if problems:
        raise InvalidConfigurationError(problems)
    for host in args.hosts.values():
        _CLAIMS.setdefault(host, {})[name] = own


def _clashes(here: _Claim, there: _Claim) -> Iterator[str]:
    instance, neighbour = here.instance, there.instance
    if instance.router_id == neighbour.router_id and _share_segment(instance.addresses, neighbour.addresses):
        fix = "give each instance of a segment its own"
        yield f"{here.path}.routerId: {instance.router_id} is that of {there.path} on the same segment: {fix}"
    taken = {vip.ip for vip in neighbour.addresses}
    for at, vip in enumerate(instance.addresses):
        if vip.ip in taken:
            yield f"{here.path}.addresses[{at}]: '{vip.ip}' is an address of {there.path} already: remove one"


def _share_segment(some: tuple[Vip, ...], others: tuple[Vip, ...]) -> bool:
    return any(one.version == other.version and one.network.overlaps(other.network) for one in some for other in others)
