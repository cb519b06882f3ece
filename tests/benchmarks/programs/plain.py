"""The kinds of resources that many.py has, almost empty: what the SDK and the engine cost by themselves."""

import pulumi
from pulumi_command import local, remote

config = pulumi.Config()
connection = remote.ConnectionArgs(host="host.example.com", user="ops")
for number in range(config.require_int("hosts")):
    host = pulumi.ComponentResource("sealed-data-tier:bench:Host", f"host{number}")
    inside = pulumi.ResourceOptions(parent=host)
    farewell = local.Command(f"host{number}-farewell", delete="true", opts=inside)
    inside = pulumi.ResourceOptions(parent=host, deleted_with=farewell)
    runtime = remote.Command(f"host{number}-runtime", connection=connection, create="true", opts=inside)
    role = pulumi.ComponentResource("sealed-data-tier:bench:Role", f"host{number}-haproxy")
    inside = pulumi.ResourceOptions(parent=role, deleted_with=farewell, depends_on=[runtime])
    remote.Command(f"host{number}-haproxy-command", connection=connection, create="true", opts=inside)
