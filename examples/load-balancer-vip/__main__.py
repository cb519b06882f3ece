"""Two HAProxy load balancers that share a virtual IP, and a firewall on each; see README.md."""

import pulumi

from components import (
    Backend,
    Bind,
    FailoverMail,
    Firewall,
    FirewallArgs,
    Frontend,
    HaproxyLoadBalancer,
    HaproxyLoadBalancerArgs,
    HaproxySettings,
    Host,
    HostArgs,
    KeepalivedVip,
    KeepalivedVipArgs,
    KeepalivedVipSettings,
    Server,
    VrrpInstance,
    VrrpNode,
)
from components.keepalived_vip import haproxy_ready

# Name: address, and the key that `make host-keys HOSTS=…` printed and that you compared on the host's console.
HOSTS = {
    "lb1": ("192.0.2.11", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHJ+WfvU4/NTb2pQX3cQb4TkhtRAUxUX0s0N17OT4W6+"),
    "lb2": ("192.0.2.12", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIVjRC0zyLkxDmDb88n4nEn6hzbkwInMJLq/uvPbZjOg"),
}
VIRTUAL_IP = "192.0.2.5"
PORT = 8181

hosts = {
    name: Host(name, HostArgs(address=address, user="ops", host_key=host_key))
    for name, (address, host_key) in HOSTS.items()
}
# TLS passes through to the servers. Both listen on the address, and one of them holds it.
bind = Bind(address=VIRTUAL_IP, port=PORT, transparent=True, exposed_because="browsers of the administrators")
balancing = HaproxySettings(
    frontends=(Frontend(name="ccc-in", binds=(bind,), default_backend="ccc"),),
    backends=(
        Backend(
            name="ccc",
            servers=(
                Server(name="ccc1", address="192.0.2.21", port=PORT),
                Server(name="ccc2", address="192.0.2.22", port=PORT),
            ),
        ),
    ),
    readiness=True,
)
balancers = {
    name: HaproxyLoadBalancer(f"{name}-balancer", HaproxyLoadBalancerArgs(host=host, settings=balancing))
    for name, host in hosts.items()
}
group = KeepalivedVipArgs(
    settings=KeepalivedVipSettings(
        nodes=tuple(VrrpNode(host=name) for name in HOSTS),
        interface="eth0",
        instances=(
            VrrpInstance(
                name="front",
                router_id=51,
                addresses=(f"{VIRTUAL_IP}/24",),
                track_scripts=(haproxy_ready(),),
            ),
        ),
        mail=FailoverMail(sender="keepalived@example.com", recipients=("ops@example.com",)),
    ),
    hosts=hosts,
)
vip = KeepalivedVip("front", group)
for name, host in hosts.items():
    Firewall(name, FirewallArgs(host=host, flows=[*group.flows(name), *balancers[name].flows]))
pulumi.export("vip", vip.outputs)
