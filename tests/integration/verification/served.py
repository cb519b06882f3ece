"""One lab host that serves TLS to clients with certificates, and does not reload by itself when its own changes."""

from typing import Any

import pulumi

from components import (
    Certificate,
    CertificateArgs,
    CertificateAuthority,
    CertificateSettings,
    Directory,
    File,
    Host,
    Role,
    RoleSpec,
    Unit,
)
from components.settings import load
from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

PORT = 6380
LEAF, ROOTS = "/etc/haproxy/tls/leaf.pem", "/etc/haproxy/tls/roots.pem"


class Served(pulumi.ComponentResource):
    """What a component tells that serves TLS."""

    def __init__(self, name: str, served: list[dict[str, Any]]) -> None:
        super().__init__("sealed-data-tier:scratch:Served", name)
        self.register_outputs({"served": served})


config = pulumi.Config()
scene = {
    "prefix": "sdt-certs",
    "hosts": ["server", "outsider"],
    "subnet": "10.203.53.0/24",
    "subnet6": None,
    "cache": None,
}
endpoint = Lab("lab", LabArgs(settings=LabSettings.model_validate(scene))).endpoints["server"]
host = Host("server", endpoint.arguments)
settings = load(CertificateSettings, config.get_object("certificates") or {}, "certificates")
authority = CertificateAuthority("root")
certificate = Certificate(
    "server",
    CertificateArgs(
        authority=authority,
        common_name="server",
        names=("server.example.com", endpoint.address),
        settings=settings,
    ),
)
text = endpoint.address.apply(
    lambda address: (
        f"""\
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend secured
    bind {address}:{PORT} ssl crt {LEAF} ca-file {ROOTS} verify required ssl-min-ver {config.require("version")}
    default_backend ssh
backend ssh
    server ssh 127.0.0.1:22
"""
    )
)
role = Role(
    "haproxy",
    host,
    RoleSpec(
        name="haproxy",
        packages=("haproxy",),
        directories=(Directory(path="/etc/haproxy/tls", mode=0o700),),
        files=(
            File(path="/etc/haproxy/haproxy.cfg", content=text),
            File(path=ROOTS, content=authority.trusted),
            File(
                path=LEAF,
                content=pulumi.Output.concat(certificate.certificate, certificate.private_key),
                mode=0o600,
                secret=True,
            ),
        ),
        units=(Unit(name="haproxy.service", reload_on=("/etc/haproxy/haproxy.cfg",)),),
    ),
)
Served(
    "served",
    [
        {
            "host": "server",
            "address": endpoint.address,
            "port": PORT,
            "certificate": certificate.certificate,
            "trusted": authority.trusted,
            "renewalDays": config.get_int("pretendedRenewalDays") or settings.renewal_days,
            "names": ["server.example.com", endpoint.address],
        }
    ],
)
