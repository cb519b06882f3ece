"""The lab on which the contenders work."""

import pulumi

from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

config = pulumi.Config()
lab = Lab("lab", LabArgs(settings=LabSettings.model_validate(config.require_object("lab"))))
pulumi.export(
    "hosts",
    {
        name: {"address": each.address, "user": each.user, "hostKey": each.host_key, "privateKey": each.private_key}
        for name, each in lab.endpoints.items()
    },
)
