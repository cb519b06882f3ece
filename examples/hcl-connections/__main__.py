"""The Cache Service traffic of HCL Connections, sealed from WebSphere to the Component Pack; see README.md."""

import pulumi
from pydantic import SecretStr

from components import (
    CacheService,
    CacheServiceArgs,
    CacheServiceSettings,
    ConnectionsSettings,
    Firewall,
    FirewallArgs,
    Host,
    HostArgs,
    WorkerSettings,
)

# Name: address, and the key that `make host-keys HOSTS=…` printed and that you compared on the host's console.
HOSTS = {
    "was1": ("192.0.2.11", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKlrfIGotdiDANnEcRzOQVjXTy+x8JFDYoG5NsxaVOXk"),
    "was2": ("192.0.2.12", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEwOqIudp3PqzO8UJIGdnP3R4m6Wy7WgJRA0RXkrdXgg"),
    "haproxy": ("192.0.2.13", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9gMbfTKochRO4aU4qGEBOxM/H0ZDpQMppTSjWhz5Xc"),
    "worker1": ("192.0.2.14", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBl3yuwSAJ+ipRH03RZepy9zq+wpfPv4rXOoIiRsWO9f"),
    "worker2": ("192.0.2.15", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHk/3RWSMkFpyD3mwsdowohxPc9rZv+F8jIA7arqu9yh"),
    "worker3": ("192.0.2.16", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHJ+WfvU4/NTb2pQX3cQb4TkhtRAUxUX0s0N17OT4W6+"),
    "master1": ("192.0.2.17", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIVjRC0zyLkxDmDb88n4nEn6hzbkwInMJLq/uvPbZjOg"),
}
# The manual's names and local ports.
WORKERS = {"worker1": 30378, "worker2": 30380, "worker3": 30381}

config = pulumi.Config()
hosts = {
    name: Host(name, HostArgs(address=address, user="ops", host_key=host_key))
    for name, (address, host_key) in HOSTS.items()
}
settings = CacheServiceSettings(
    application_hosts=("was1", "was2"),
    load_balancer="haproxy",
    workers=tuple(
        WorkerSettings(host=host, name=f"{host}.example.com", local_port=port) for host, port in WORKERS.items()
    ),
    # No tunnel leads here, but Kubernetes opens the NodePort on every node.
    other_nodes=("master1",),
    connections=ConnectionsSettings(
        host="was1",
        script="/opt/HCL/configureCacheService.sh",
        url="https://connections.example.com",
        user="wasadmin",
        password=SecretStr(config.require("connectionsPassword")),
    ),
)
service = CacheService(
    "cache-service",
    CacheServiceArgs(settings=settings, hosts=hosts, password=config.require_secret("password")),
)
# Last, since until then the application uses the NodePort; it closes that to everybody but the tunnels.
for name in settings.nodes:
    flows = service.flows[name]
    Firewall(name, FirewallArgs(host=hosts[name], flows=flows), pulumi.ResourceOptions(depends_on=[service]))
pulumi.export("endpoints", service.outputs["localEndpoints"])
