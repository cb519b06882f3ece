"""A lab with a cluster on two of its hosts."""

import pulumi

from components.settings import load
from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

lab = Lab("lab", LabArgs(settings=load(LabSettings, pulumi.Config().require_object("lab"), "lab")))
pulumi.export("kubeconfig", lab.kubeconfig)
# As other stacks declare them.
pulumi.export(
    "hosts",
    {
        name: {"address": each.address, "user": each.user, "hostKey": each.host_key, "privateKey": each.private_key}
        for name, each in lab.endpoints.items()
    },
)
