"""As many hosts as configured, each with the role; for previews, so no address is ever dialled."""

import atexit
import gc

import pulumi

from components.host import Host, HostArgs, HostSettings, Role
from components.settings import load
from tests.benchmarks.role import load_balancer

_HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA" + 43 * "A" + "A"

# As in the repository's own program.
gc.disable()
atexit.register(gc.freeze)

config = pulumi.Config()
password = pulumi.Output.secret("only for this preview")
for number in range(config.require_int("hosts")):
    name = f"host{number}"
    settings = {"address": f"{name}.example.com", "user": "ops", "hostKey": _HOST_KEY}
    host = Host(name, HostArgs.of(load(HostSettings, settings, f"hosts.{name}")))
    Role(f"{name}-haproxy", host, load_balancer(4000, password))
