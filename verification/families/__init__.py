"""The families of checks. A new one is a module beside the others and a line in this list."""

from __future__ import annotations

from typing import Final

from verification.families import (
    certificates,
    clients,
    confinement,
    exposure,
    files,
    firewall,
    listeners,
    members,
    objects,
    policies,
    replication,
    spinnaker,
    traffic,
    units,
    virtual_ips,
)
from verification.family import Family

FAMILIES: Final[tuple[Family, ...]] = (
    listeners.FAMILY,
    clients.FAMILY,
    exposure.FAMILY,
    firewall.FAMILY,
    units.FAMILY,
    traffic.FAMILY,
    members.REDIS,
    spinnaker.FAMILY,
    virtual_ips.FAMILY,
    members.POSTGRES,
    replication.FAMILY,
    certificates.FAMILY,
    confinement.FAMILY,
    files.FAMILY,
    objects.FAMILY,
    policies.FAMILY,
)
