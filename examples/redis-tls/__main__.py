"""Redis under Sentinel with TLS on every link, its authority, and a firewall on each host; see README.md."""

import pulumi

from components import (
    CertificateAuthority,
    Firewall,
    FirewallArgs,
    Host,
    HostArgs,
    RedisTlsCluster,
    RedisTlsClusterArgs,
    RedisTlsSettings,
)
from components.redis_tls_cluster.settings import MemorySettings, Topology
from components.settings import ServerNode

# Name: address, and the key that `make host-keys HOSTS=…` printed and that you compared on the host's console.
HOSTS = {
    "redis1": ("192.0.2.11", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHJ+WfvU4/NTb2pQX3cQb4TkhtRAUxUX0s0N17OT4W6+"),
    "redis2": ("192.0.2.12", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIVjRC0zyLkxDmDb88n4nEn6hzbkwInMJLq/uvPbZjOg"),
    "redis3": ("192.0.2.13", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILB1tZJ/ILHB1nLknyQi9hu28W3aCSTk0e5149mobYHa"),
}

hosts = {
    name: Host(name, HostArgs(address=address, user="ops", host_key=host_key))
    for name, (address, host_key) in HOSTS.items()
}
authority = CertificateAuthority("authority")
orders = RedisTlsCluster(
    "orders",
    RedisTlsClusterArgs(
        settings=RedisTlsSettings(
            name="orders",
            topology=Topology.SENTINEL,
            # Clients that compare names rather than addresses dial these.
            nodes=tuple(ServerNode(host=name, names=(f"{name}.example.com",)) for name in HOSTS),
            # Where applications come from; the nodes among themselves need not be listed.
            clients=("198.51.100.0/24",),
            memory=MemorySettings(limit="2gb"),
        ),
        hosts=hosts,
        authority=authority,
    ),
)
# Last, since until then others may use the ports; it closes them to everybody but the clients and the nodes.
for name, flows in orders.flows.items():
    Firewall(name, FirewallArgs(host=hosts[name], flows=flows), pulumi.ResourceOptions(depends_on=[orders]))
# By the group's name, as the command that writes what a client needs reads it.
pulumi.export("redis", {"orders": orders.outputs})
