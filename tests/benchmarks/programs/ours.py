"""This project's way to the end state: a role on each configured host."""

import atexit
import gc

import pulumi

from components.host import Host, HostArgs, HostSettings, Role
from components.settings import load
from tests.benchmarks.role import load_balancer

# As in the repository's own program.
gc.disable()
atexit.register(gc.freeze)

config = pulumi.Config()
spec = load_balancer(config.require_int("maxconn"), config.require_secret("password"))
for name, settings in config.require_object("hosts").items():
    host = Host(name, HostArgs.of(load(HostSettings, settings, f"hosts.{name}")))
    Role(f"{name}-haproxy", host, spec)
