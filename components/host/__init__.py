"""Hosts, and what one role puts on one host. The only package that speaks to hosts."""

from components.host.component import BastionArgs, Host, HostArgs, Role, debian_host
from components.host.role import Check, Directory, File, RoleSpec, Unit, User, Validation, with_parents
from components.host.settings import BastionSettings, Family, HostSettings, fingerprint, pinned_key

__all__ = [
    "BastionArgs",
    "BastionSettings",
    "Check",
    "Directory",
    "Family",
    "File",
    "Host",
    "HostArgs",
    "HostSettings",
    "Role",
    "RoleSpec",
    "Unit",
    "User",
    "Validation",
    "debian_host",
    "fingerprint",
    "pinned_key",
    "with_parents",
]
