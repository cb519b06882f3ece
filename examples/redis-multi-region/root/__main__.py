"""The root of all regions: it has the one key that signs, and no hosts. Its stack exports certificates, no secrets."""

import pulumi

from components import CertificateAuthority, RegionCertificates, RegionCertificatesArgs, RegionSettings
from components.settings import load


async def main() -> None:
    """Sign what the regions ask for."""
    declared = pulumi.Config().require_object("regions")
    regions = {name: load(RegionSettings, data, f"regions.{name}") for name, data in declared.items()}
    args = RegionCertificatesArgs(authority=CertificateAuthority("root"), regions=regions)
    pulumi.export("signedCertificates", await RegionCertificates("regions", args).signed())


pulumi.run(main)
