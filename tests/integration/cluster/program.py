"""A lab with a cluster on two of its hosts."""

import pulumi

from components.settings import load
from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

lab = Lab("lab", LabArgs(settings=load(LabSettings, pulumi.Config().require_object("lab"), "lab")))
pulumi.export("kubeconfig", lab.kubeconfig)
