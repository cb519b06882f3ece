"""A region: its certificates, and what is built on them."""

import pulumi

from components import (
    Certificate,
    CertificateArgs,
    CertificateSettings,
    SharedAuthority,
    SharedAuthorityArgs,
    SharedAuthoritySettings,
    Usage,
)
from components.settings import load


async def main() -> None:
    config = pulumi.Config()
    shared = load(SharedAuthoritySettings, config.require_object("authority"), "authority")
    authority = SharedAuthority("root", SharedAuthorityArgs(settings=shared))
    settings = load(CertificateSettings, config.get_object("certificates") or {}, "certificates")
    names = tuple(config.get_object("names") or ("redis1.eu.example.com", "192.0.2.1"))
    certificates = {
        "both": Certificate(
            "both", CertificateArgs(authority=authority, common_name="redis1", names=names, settings=settings)
        ),
        "client": Certificate(
            "client",
            CertificateArgs(authority=authority, common_name="app", usage=Usage.CLIENT, settings=settings),
        ),
    }
    pulumi.export("certificateRequests", authority.requests)
    if config.get_bool("careless") is None:
        await authority.signed()
    pulumi.export("trusted", authority.trusted)
    pulumi.export("expires", certificates["both"].expires)
    for name, certificate in certificates.items():
        pulumi.export(name, certificate.certificate)
    if config.get_bool("tellsKey"):
        pulumi.export("key", certificates["both"].private_key)


pulumi.run(main)
