"""The sealed cache service in a program of your own: hosts in one table, settings as typed Python.

cd examples/cache_service
toolchain=../../toolchain/pulumi
$toolchain stack init production
$toolchain config set --secret password
$toolchain preview --diff --policy-pack ../../policies
"""

import pulumi

from components import CacheService, CacheServiceArgs, CacheServiceSettings, Host, HostArgs, WorkerSettings

# Name: address, and the key that `make host-keys HOSTS=…` printed and that you compared on the host's console.
HOSTS = {
    "app1": ("192.0.2.11", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKlrfIGotdiDANnEcRzOQVjXTy+x8JFDYoG5NsxaVOXk"),
    "app2": ("192.0.2.12", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEwOqIudp3PqzO8UJIGdnP3R4m6Wy7WgJRA0RXkrdXgg"),
    "lb1": ("192.0.2.13", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9gMbfTKochRO4aU4qGEBOxM/H0ZDpQMppTSjWhz5Xc"),
    "worker1": ("192.0.2.14", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBl3yuwSAJ+ipRH03RZepy9zq+wpfPv4rXOoIiRsWO9f"),
    "worker2": ("192.0.2.15", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHk/3RWSMkFpyD3mwsdowohxPc9rZv+F8jIA7arqu9yh"),
}

hosts = {
    name: Host(name, HostArgs(address=address, user="ops", host_key=host_key))
    for name, (address, host_key) in HOSTS.items()
}
service = CacheService(
    "cache-service",
    CacheServiceArgs(
        hosts=hosts,
        password=pulumi.Config().require_secret("password"),
        settings=CacheServiceSettings(
            application_hosts=("app1", "app2"),
            load_balancer="lb1",
            workers=(
                WorkerSettings(host="worker1", local_port=30378),
                WorkerSettings(host="worker2", local_port=30380),
            ),
        ),
    ),
)
pulumi.export("endpoints", service.outputs["localEndpoints"])
