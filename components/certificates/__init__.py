"""Certificate authorities and the certificates that they sign."""

from components.certificates.authority import Authority, CertificateAuthority, CertificateAuthorityArgs
from components.certificates.certificate import Certificate, CertificateArgs
from components.certificates.settings import (
    AuthoritySettings,
    CertificateSettings,
    KeyAlgorithm,
    RegionSettings,
    SharedAuthoritySettings,
    Usage,
)
from components.certificates.shared import (
    RegionCertificates,
    RegionCertificatesArgs,
    SharedAuthority,
    SharedAuthorityArgs,
    UnsignedError,
)

__all__ = [
    "Authority",
    "AuthoritySettings",
    "Certificate",
    "CertificateArgs",
    "CertificateAuthority",
    "CertificateAuthorityArgs",
    "CertificateSettings",
    "KeyAlgorithm",
    "RegionCertificates",
    "RegionCertificatesArgs",
    "RegionSettings",
    "SharedAuthority",
    "SharedAuthorityArgs",
    "SharedAuthoritySettings",
    "UnsignedError",
    "Usage",
]
