"""Two PostgreSQL servers with a virtual IP and a witness, their authority, and a firewall on each; see README.md."""

from dataclasses import replace

import pulumi

from components import (
    CertificateAuthority,
    DatabaseSettings,
    FailoverMail,
    Firewall,
    FirewallArgs,
    Host,
    HostArgs,
    PostgresHaPair,
    PostgresHaPairArgs,
    PostgresHaSettings,
    VirtualIpSettings,
)
from components.postgres_ha_pair.settings import WitnessSettings
from components.settings import ServerNode

# Name: address, and the key that `make host-keys HOSTS=…` printed and that you compared on the host's console.
HOSTS = {
    "db1": ("192.0.2.11", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHJ+WfvU4/NTb2pQX3cQb4TkhtRAUxUX0s0N17OT4W6+"),
    "db2": ("192.0.2.12", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIVjRC0zyLkxDmDb88n4nEn6hzbkwInMJLq/uvPbZjOg"),
    "lb1": ("192.0.2.13", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILB1tZJ/ILHB1nLknyQi9hu28W3aCSTk0e5149mobYHa"),
}
APPLICATION_SERVERS = ("192.0.2.21", "192.0.2.22")  # or their subnet

hosts = {
    name: Host(name, HostArgs(address=address, user="ops", host_key=host_key))
    for name, (address, host_key) in HOSTS.items()
}
settings = PostgresHaSettings(
    name="ccc",
    nodes=(ServerNode(host="db1"), ServerNode(host="db2")),
    witness=WitnessSettings(host="lb1"),
    databases=(DatabaseSettings(name="lunadirectordb", user="lunadirector", clients=APPLICATION_SERVERS),),
    virtual_ip=VirtualIpSettings(
        addresses=("192.0.2.100/24",),
        interface="eth0",
        mail=FailoverMail(sender="keepalived@example.com", recipients=("ops@example.com",)),
    ),
    names=("db.example.com",),
)
args = PostgresHaPairArgs(settings=settings, hosts=hosts, authority=CertificateAuthority("authority"))
# First, so that no port is ever open to others than the applications and the members.
firewalls = [Firewall(name, FirewallArgs(host=hosts[name], flows=args.flows(name))) for name in args.members]
ccc = PostgresHaPair("ccc", replace(args, after=[each.confirmation for each in firewalls]))
pulumi.export("ccc", ccc.outputs)
