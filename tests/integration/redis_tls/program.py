"""A lab, an authority, and Redis or Valkey on the lab's hosts as the configuration says."""

import pulumi

from components import (
    AuthoritySettings,
    CertificateAuthority,
    CertificateAuthorityArgs,
    Host,
    RedisTlsCluster,
    RedisTlsClusterArgs,
    RedisTlsSettings,
)
from components.settings import load
from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

config = pulumi.Config()
lab = Lab("lab", LabArgs(settings=load(LabSettings, config.require_object("lab"), "lab")))
authority = CertificateAuthority(
    "root",
    CertificateAuthorityArgs(settings=load(AuthoritySettings, config.get_object("authority") or {}, "authority")),
)
if (data := config.get_object("redis")) is not None:
    hosts = {
        name: Host(name, endpoint.arguments)
        for name, endpoint in lab.endpoints.items()
        if name not in ("outsider", *(config.get_object("without") or ()))
    }
    settings = load(RedisTlsSettings, data, "redis")
    cluster = RedisTlsCluster("redis", RedisTlsClusterArgs(settings=settings, hosts=hosts, authority=authority))
    pulumi.export("redis", cluster.outputs)
