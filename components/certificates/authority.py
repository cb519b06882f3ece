"""A private certificate authority as a resource."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

import pulumi
import pulumi_tls as tls

from components.certificates.keys import private_key
from components.certificates.settings import AuthoritySettings, CertificateSettings, Usage

_HOURS: Final = 24  # of a day
# RFC 5280, 4.2.1.3: what signs certificates does nothing else; a leaf signs handshakes and, by RSA, wraps keys.
_SIGNS: Final = ("cert_signing", "crl_signing")
_USES: Final = {
    Usage.SERVER: ("digital_signature", "server_auth"),
    Usage.CLIENT: ("digital_signature", "client_auth"),
    Usage.BOTH: ("digital_signature", "server_auth", "client_auth"),
}


class Leaf(Protocol):
    """A certificate that an authority signed, or is going to."""

    @property
    def cert_pem(self) -> pulumi.Output[str]:
        """The certificate in PEM."""

    @property
    def validity_end_time(self) -> pulumi.Output[str]:
        """When it ends, as RFC 3339."""


class Authority(Protocol):
    """Whoever signs certificates: this stack (`CertificateAuthority`) or another one (`SharedAuthority`)."""

    @property
    def trusted(self) -> pulumi.Output[str]:
        """Certificates of all trusted generations, in PEM, one after another."""

    @property
    def expires(self) -> pulumi.Output[str]:
        """When the certificate that signs ends, as RFC 3339."""

    @property
    def longest_days(self) -> int | None:
        """How long it is valid itself, in days; None where another stack decides."""

    @property
    def at_hand(self) -> bool:
        """Whether what it signs is there in the same run."""

    def sign(
        self,
        name: str,
        request: pulumi.Input[str],
        usage: Usage,
        settings: CertificateSettings,
        opts: pulumi.ResourceOptions,
    ) -> Leaf:
        """Have a request signed; the arguments are those of `CertificateAuthority.sign`."""


@dataclass(frozen=True, kw_only=True)
class CertificateAuthorityArgs:
    """What an authority needs.

    Attributes:
        settings: Its name, kind of key, validity and generations.
    """

    settings: AuthoritySettings = field(default_factory=AuthoritySettings)


class CertificateAuthority(pulumi.ComponentResource):
    """A private root: a key that never leaves the state, and a certificate that can sign and nothing else.

    Attributes:
        settings: Its settings.
        certificate: The certificate that signs, in PEM.
        trusted: Certificates of all trusted generations, in PEM, one after another: what peers are told to trust.
        expires: When the certificate that signs ends, as RFC 3339.
    """

    at_hand: Final = True
    settings: AuthoritySettings
    certificate: pulumi.Output[str]
    trusted: pulumi.Output[str]
    expires: pulumi.Output[str]

    def __init__(
        self, name: str, args: CertificateAuthorityArgs | None = None, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        self.settings = settings = (args or CertificateAuthorityArgs()).settings
        inputs = {"signing": settings.signing, "generations": list(settings.generations)}
        super().__init__("sealed-data-tier:certificates:CertificateAuthority", name, inputs, opts)
        here = pulumi.ResourceOptions(parent=self)
        self._keys = {
            number: private_key(f"{name}-key-{number}", settings.algorithm, here) for number in settings.generations
        }
        self._roots = {
            number: tls.SelfSignedCert(
                f"{name}-root-{number}",
                private_key_pem=key.private_key_pem,
                subject=tls.SelfSignedCertSubjectArgs(common_name=f"{settings.common_name} {number}"),
                allowed_uses=_SIGNS,
                is_ca_certificate=True,
                set_subject_key_id=True,
                validity_period_hours=settings.validity_days * _HOURS,
                opts=here,
            )
            for number, key in self._keys.items()
        }
        root = self._roots[settings.signing]
        self._key = self._keys[settings.signing]
        self.certificate, self.expires = root.cert_pem, root.validity_end_time
        self.trusted = pulumi.Output.all(*(each.cert_pem for each in self._roots.values())).apply("".join)
        self.register_outputs({"certificate": self.certificate, "trusted": self.trusted, "expires": self.expires})

    @property
    def longest_days(self) -> int:
        """How long a generation is valid, in days."""
        return self.settings.validity_days

    def sign(
        self,
        name: str,
        request: pulumi.Input[str],
        usage: Usage,
        settings: CertificateSettings,
        opts: pulumi.ResourceOptions,
    ) -> tls.LocallySignedCert:
        """Register a certificate of the generation that signs.

        Args:
            name: Name of the resource.
            request: Certificate request in PEM (PKCS #10).
            usage: What its holder does with it.
            settings: How long it is valid, and when it is renewed.
            opts: Its parent.
        """
        return tls.LocallySignedCert(
            name,
            cert_request_pem=request,
            ca_private_key_pem=self._key.private_key_pem,
            ca_cert_pem=self.certificate,
            allowed_uses=_USES[usage],
            validity_period_hours=settings.validity_days * _HOURS,
            early_renewal_hours=settings.renewal_days * _HOURS,
            opts=opts,
        )
