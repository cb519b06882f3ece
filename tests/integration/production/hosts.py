"""Hosts that exist, as production has them; the stack under test knows nothing of how they came."""

import pulumi

from components.settings import load
from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

lab = Lab("lab", LabArgs(settings=load(LabSettings, pulumi.Config().require_object("lab"), "lab")))
pulumi.export(
    "hosts",
    {
        name: {"address": each.address, "user": each.user, "hostKey": each.host_key, "privateKey": each.private_key}
        for name, each in lab.endpoints.items()
    },
)
pulumi.export("password", lab.cache_password)
