"""Two hosts, one with a server that takes plaintext and TLS side by side."""

import pulumi

from components import CertificateAuthority, Host, RedisTlsCluster, RedisTlsClusterArgs, RedisTlsSettings
from components.settings import load
from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

config = pulumi.Config()
lab = Lab("lab", LabArgs(settings=load(LabSettings, config.require_object("lab"), "lab")))
pulumi.export("privateKey", lab.endpoints["server"].private_key)
pulumi.export("hostKey", lab.endpoints["server"].host_key)
if (data := config.get_object("redis")) is not None:
    endpoint = lab.endpoints["server"]
    server = Host("server", endpoint.arguments)
    settings = load(RedisTlsSettings, data, "redis")
    authority = CertificateAuthority("root")
    args = RedisTlsClusterArgs(settings=settings, hosts={"server": server}, authority=authority)
    pulumi.export("redis", RedisTlsCluster("redis", args).outputs)
