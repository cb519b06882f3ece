"""The root of several regions."""

import pulumi

from components import (
    AuthoritySettings,
    CertificateAuthority,
    CertificateAuthorityArgs,
    RegionCertificates,
    RegionCertificatesArgs,
    RegionSettings,
)
from components.settings import load


async def main() -> None:
    config = pulumi.Config()
    settings = load(AuthoritySettings, config.get_object("authority") or {}, "authority")
    authority = CertificateAuthority("root", CertificateAuthorityArgs(settings=settings))
    declared = config.get_object("regions") or {}
    regions = {name: load(RegionSettings, data, f"regions.{name}") for name, data in declared.items()}
    args = RegionCertificatesArgs(authority=authority, regions=regions)
    if config.get_bool("tellsSecret"):
        pulumi.export("secret", pulumi.Output.secret("not for regions"))
    pulumi.export("signedCertificates", await RegionCertificates("regions", args).signed())


pulumi.run(main)
