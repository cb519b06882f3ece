"""One region: Redis whose certificates the root's stack signs, and what an application needs to reach it.

Keys are made here and never leave. A run whose certificates are not signed yet ends with what to run next.
"""

import pulumi

from components import (
    Firewall,
    FirewallArgs,
    Host,
    HostArgs,
    HostSettings,
    RedisTlsCluster,
    RedisTlsClusterArgs,
    RedisTlsSettings,
    Role,
    RoleSpec,
    SharedAuthority,
    SharedAuthorityArgs,
    SharedAuthoritySettings,
)
from components.host import Directory, File
from components.settings import load

CLIENT = "/etc/sessions-client"


async def main() -> None:
    """Bring the region up."""
    config = pulumi.Config()
    shared = load(SharedAuthoritySettings, config.require_object("authority"), "authority")
    authority = SharedAuthority("root", SharedAuthorityArgs(settings=shared))
    hosts = {
        name: Host(name, HostArgs.of(load(HostSettings, data, f"hosts.{name}")))
        for name, data in config.require_object("hosts").items()
    }
    settings = load(RedisTlsSettings, config.require_object("redis"), "redis")
    redis = RedisTlsCluster("sessions", RedisTlsClusterArgs(settings=settings, hosts=hosts, authority=authority))
    pulumi.export("certificateRequests", authority.requests)
    await authority.signed()

    for name, flows in redis.flows.items():
        Firewall(name, FirewallArgs(host=hosts[name], flows=flows), pulumi.ResourceOptions(depends_on=[redis]))
    # Straight to the application's host, and not exported: the root's stack would take exported secrets along.
    files = (
        File(path=f"{CLIENT}/root.crt", content=redis.authority),
        File(path=f"{CLIENT}/client.crt", content=redis.client_certificate),
        File(path=f"{CLIENT}/client.key", content=redis.client_key, mode=0o600, secret=True),
        File(path=f"{CLIENT}/password", content=redis.passwords["app"], mode=0o600, secret=True),
    )
    role = RoleSpec(name="sessions-client", directories=(Directory(path=CLIENT),), files=files)
    Role("app1-sessions-client", hosts["app1"], role)
    pulumi.export("sentinels", redis.sentinels)
    pulumi.export("masterName", redis.master_name)


pulumi.run(main)
