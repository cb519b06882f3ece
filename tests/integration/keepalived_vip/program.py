"""A lab, load balancers with virtual IPs, and an outsider that is their client and takes their mail.

Settings of keepalived come from the configuration's `vip`; its nodes' addresses are outputs, as those of new hosts are.
"""

import pulumi

from components import (
    Backend,
    Bind,
    DefaultServer,
    Firewall,
    FirewallArgs,
    FirewallSettings,
    Frontend,
    HaproxyLoadBalancer,
    HaproxyLoadBalancerArgs,
    HaproxySettings,
    Host,
    KeepalivedVip,
    KeepalivedVipArgs,
    KeepalivedVipSettings,
    Server,
)
from components.keepalived_vip import haproxy_ready
from components.settings import load
from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

config = pulumi.Config()
lab_settings = load(LabSettings, config.require_object("lab"), "lab")
lab = Lab("lab", LabArgs(settings=lab_settings))
hosts = {
    name: Host(name, endpoint.arguments)
    for name, endpoint in lab.endpoints.items()
    if name != "outsider" and config.get_bool("hosts") is not False
}
if (data := config.get_object("vip")) is not None:
    settings = load(KeepalivedVipSettings, data, "vip")
    if config.get_bool("ready") is not False:
        first, *others = settings.instances
        first = first.model_copy(update={"track_scripts": (*first.track_scripts, haproxy_ready())})
        settings = settings.model_copy(update={"instances": (first, *others)})
    exposed = (
        Bind(address=str(network[5]), port=8080, transparent=True, exposed_because="clients of the virtual IP")
        for network in (lab_settings.subnet, lab_settings.subnet6)
        if network
    )
    binds = (Bind(port=8080), *exposed)
    # Each load balancer has one server, on its own loopback, that says on which host it is.
    server = Server(name="here", port=7000)
    backend = Backend(name="who", servers=(server,), default_server=DefaultServer(slowstart=None))
    frontend = Frontend(name="who-in", binds=binds, default_backend="who", tls_only=False)
    balancers = {
        name: HaproxyLoadBalancer(
            f"{name}-balancer",
            HaproxyLoadBalancerArgs(
                host=hosts[name],
                settings=HaproxySettings(frontends=(frontend,), backends=(backend,), readiness=True),
            ),
        )
        for name in settings.hosts
    }
    group = KeepalivedVipArgs(settings=settings, hosts=hosts, where="vip")
    firewalls = [
        Firewall(
            name,
            FirewallArgs(
                host=hosts[name],
                flows=[*group.flows(name), *balancers[name].flows],
                settings=load(FirewallSettings, {"mode": "deny"}, "firewall"),
            ),
        )
        for name in settings.hosts
    ]
    after = [each.confirmation for each in firewalls]
    vip = KeepalivedVip("front", KeepalivedVipArgs(settings=settings, hosts=hosts, where="vip", after=after))
    pulumi.export("vip", vip.outputs)
