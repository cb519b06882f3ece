"""An authority and three certificates, as the configuration says."""

import pulumi

from components import (
    AuthoritySettings,
    Certificate,
    CertificateArgs,
    CertificateAuthority,
    CertificateAuthorityArgs,
    CertificateSettings,
    Usage,
)
from components.settings import load

config = pulumi.Config()
authority = CertificateAuthority(
    "root",
    CertificateAuthorityArgs(settings=load(AuthoritySettings, config.get_object("authority") or {}, "authority")),
)
settings = load(CertificateSettings, config.get_object("certificates") or {}, "certificates")
pulumi.export("root", authority.certificate)
pulumi.export("trusted", authority.trusted)
for usage in Usage:
    certificate = Certificate(
        usage.value,
        CertificateArgs(
            authority=authority,
            common_name=f"the {usage.value}",
            names=("redis1.example.com", "192.0.2.1", "2001:db8::1"),
            usage=usage,
            settings=settings,
        ),
    )
    pulumi.export(usage.value, {"certificate": certificate.certificate, "key": certificate.private_key})
