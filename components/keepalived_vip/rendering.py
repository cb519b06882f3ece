"""The files of a node: settings in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from components.keepalived_vip.settings import SCRIPT_USER, Address, KeepalivedVipSettings, VrrpInstance
from components.templates import Templates

CONFIGURATION: Final = "/etc/keepalived/keepalived.conf"
ADDRESSES: Final = "/etc/keepalived/addresses"
LIBRARY: Final = "/usr/local/lib/keepalived-vip"
SCRIPT: Final = f"{LIBRARY}/vip"
NOTIFY: Final = f"{LIBRARY}/notify"
KEPT: Final = "/var/lib/keepalived-vip"
SYSCTL: Final = "/etc/sysctl.d/60-keepalived-vip.conf"

_TEMPLATES: Final = Templates(__file__)
_FIFO: Final = "/run/keepalived/notify.fifo"


def configuration(settings: KeepalivedVipSettings, host: str, addresses: Mapping[str, Address]) -> str:
    """Render keepalived.conf of one host.

    Args:
        settings: What all nodes are told.
        host: The host.
        addresses: Address from which each node speaks VRRP, by host.
    """

    def others(instance: VrrpInstance) -> list[int]:
        return [priority for other, priority in settings.priorities(instance).items() if other != host]

    values = {
        **_place(settings, host, addresses),
        "settings": settings,
        "host": host,
        "family": addresses[host].version,
        "others": others,
        "number": number,
        "script_user": SCRIPT_USER,
        "notify": NOTIFY,
        "fifo": _FIFO,
    }
    return _TEMPLATES.render("keepalived.conf.j2", values)


def addresses_file(settings: KeepalivedVipSettings, host: str, addresses: Mapping[str, Address]) -> str:
    """Render what the scripts of one host know.

    Args:
        settings: What all nodes are told.
        host: The host.
        addresses: Address from which each node speaks VRRP, by host.
    """
    vips = [str(vip) for instance in settings.instances for vip in instance.addresses]
    return _TEMPLATES.render("addresses.j2", {**_place(settings, host, addresses), "vips": vips})


def service_drop_in(settings: KeepalivedVipSettings) -> str:
    """Render the drop-in of keepalived.service."""
    return _TEMPLATES.render("keepalived.service.conf.j2", {"settings": settings, "script": SCRIPT})


def sysctl() -> str:
    """Return the kernel settings by which daemons may listen on an address that the host does not hold."""
    return _TEMPLATES.render("sysctl.conf", {})


def script(name: str) -> str:
    """Return one of the scripts: `vip` or `notify`."""
    return _TEMPLATES.render(f"{name}.sh", {})


def number(value: float) -> str:
    """Write a number as keepalived reads it and prints it again: `0.1`, `1`."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _place(settings: KeepalivedVipSettings, host: str, addresses: Mapping[str, Address]) -> Mapping[str, Any]:
    return {
        "interface": settings.interface_of(host),
        "address": addresses[host],
        "peers": [addresses[other] for other in settings.hosts if other != host],
    }
