"""Virtual IPs under keepalived as a resource."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import pulumi

from components.firewall import Flow
from components.host import Check, Directory, File, Role, RoleSpec, Unit, User, Validation
from components.keepalived_vip import inspection, rendering, segments
from components.keepalived_vip.arguments import KeepalivedVipArgs
from components.keepalived_vip.rendering import ADDRESSES, CONFIGURATION, KEPT, LIBRARY, NOTIFY, SCRIPT, SYSCTL
from components.keepalived_vip.settings import SCRIPT_USER, KeepalivedVipSettings

_ROLE: Final = "keepalived"
_UNIT: Final = "keepalived.service"
_DROP_INS: Final = f"/etc/systemd/system/{_UNIT}.d"
_DROP_IN: Final = f"{_DROP_INS}/sealed-data-tier.conf"
_PACKAGES: Final = ("keepalived", "iproute2", "iputils-ping", "procps")
# Programs of track scripts that a host may lack.
_PACKAGES_OF: Final = {"/usr/bin/curl": "curl"}


class KeepalivedVip(pulumi.ComponentResource):
    """Virtual IPs on two or more hosts, each held by one of them that is well: VRRPv3 between their addresses.

    A change reloads keepalived and moves nothing; the hosts have their turns one after another.

    Attributes:
        addresses: Virtual IPs by instance.
        router_ids: Virtual router ids by instance.
        hosts: Hosts that may hold them.
        flows: What it needs of each host's firewall, by host.
    """

    addresses: dict[str, list[str]]
    router_ids: dict[str, int]
    hosts: list[str]
    flows: Mapping[str, list[Flow]]

    def __init__(self, name: str, args: KeepalivedVipArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = args.settings
        inputs = {
            "settings": settings.model_dump(mode="json", by_alias=True, exclude_none=True),
            "hosts": list(settings.hosts),
        }
        super().__init__("sealed-data-tier:keepalived_vip:KeepalivedVip", name, inputs, opts)
        segments.claim(name, args)
        self.addresses = {each.name: [str(vip.ip) for vip in each.addresses] for each in settings.instances}
        self.router_ids = {each.name: each.router_id for each in settings.instances}
        self.hosts = list(settings.hosts)
        self.flows = {host: args.flows(host) for host in settings.hosts}
        self.roles: list[Role] = []
        for host in settings.hosts:
            # Never two at once: while one restarts, the other holds the addresses.
            turn = pulumi.ResourceOptions(parent=self, depends_on=[*args.after, *self.roles[-1:]])
            self.roles.append(Role(f"{name}-{host}-keepalived", args.hosts[host], role_spec(args, host), turn))
        self.outputs = {"addresses": self.addresses, "routerIds": self.router_ids, "hosts": self.hosts}
        self.register_outputs(self.outputs)


def role_spec(args: KeepalivedVipArgs, host: str) -> RoleSpec:
    """Say what a node puts on its host.

    Args:
        args: What the virtual IPs need.
        host: The host.
    """
    settings = args.settings
    programs = [script.command[0] for script in settings.track_scripts]
    files = tuple(_files(args, host))
    return RoleSpec(
        name=_ROLE,
        packages=(*_PACKAGES, *dict.fromkeys(_PACKAGES_OF[each] for each in programs if each in _PACKAGES_OF)),
        users=(User(name=SCRIPT_USER),),
        directories=(
            Directory(path=LIBRARY),
            Directory(path=KEPT, mode=0o700, discard=True),
            Directory(path=_DROP_INS),
        ),
        files=files,
        units=(
            Unit(
                name=_UNIT,
                reload_on=(CONFIGURATION, *((NOTIFY,) if settings.hook else ())),
                restart_on=(_DROP_IN, *((SYSCTL,) if settings.nonlocal_bind else ())),
            ),
        ),
        validations=(
            Validation(name="interfaces and addresses", command=inspection.can_hold()),
            Validation(name="accounts and programs", command=inspection.can_run(settings)),
            Validation(name="keepalived --config-test", command=inspection.accepted(settings)),
        ),
        checks=(Check(name="runs what was written", command=inspection.runs_this(settings, host)),),
    )


def _files(args: KeepalivedVipArgs, host: str) -> Iterator[File]:
    settings: KeepalivedVipSettings = args.settings
    configuration = args.with_addresses(lambda known: rendering.configuration(settings, host, known))
    yield File(path=CONFIGURATION, content=configuration)
    known_here = args.with_addresses(lambda known: rendering.addresses_file(settings, host, known))
    yield File(path=ADDRESSES, content=known_here)
    yield File(path=SCRIPT, content=rendering.script("vip"), mode=0o755)
    yield File(path=_DROP_IN, content=rendering.service_drop_in(settings))
    if settings.hook:
        yield File(path=NOTIFY, content=rendering.script("notify"), mode=0o755)
    if settings.nonlocal_bind:
        yield File(path=SYSCTL, content=rendering.sysctl())
