"""Certificate authorities and the certificates that they sign."""

from components.certificates.authority import CertificateAuthority, CertificateAuthorityArgs
from components.certificates.certificate import Certificate, CertificateArgs
from components.certificates.settings import AuthoritySettings, CertificateSettings, KeyAlgorithm, Usage

__all__ = [
    "AuthoritySettings",
    "Certificate",
    "CertificateArgs",
    "CertificateAuthority",
    "CertificateAuthorityArgs",
    "CertificateSettings",
    "KeyAlgorithm",
    "Usage",
]
