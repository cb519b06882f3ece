"""A lab with whatever tunnels and cache service the configuration asks for; tests break it and change it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pulumi

from components.cache_service import CacheService, CacheServiceArgs, CacheServiceSettings
from components.host import Host
from components.settings import load
from components.ssh_tunnel_host import SshTunnels, SshTunnelSettings
from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

config = pulumi.Config()
lab = Lab("lab", LabArgs(settings=load(LabSettings, config.require_object("lab"), "lab")))
changes: dict[str, dict[str, Any]] = config.get_object("hosts") or {}
hosts = {
    name: Host(
        name,
        replace(
            endpoint.arguments,
            **changes.get(name, {}),
        ),
    )
    for name, endpoint in lab.endpoints.items()
}
if (data := config.get_object("tunnels")) is not None:
    tunnels = SshTunnels("tunnels", load(SshTunnelSettings, data, "tunnels"), hosts)
    pulumi.export("publicKeys", tunnels.public_keys)
if (data := config.get_object("cacheService")) is not None:
    service = CacheService(
        "cache-service",
        CacheServiceArgs(
            settings=load(CacheServiceSettings, data, "cacheService"), hosts=hosts, password=lab.cache_password
        ),
    )
    pulumi.export("cacheService", service.outputs)
pulumi.export("password", lab.cache_password)
