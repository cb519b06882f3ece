"""What crosses between the stack of a root and those of its regions: requests, certificates, and never a key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pydantic import Field

from components.certificates.settings import RegionSettings, Usage
from components.names import is_address
from components.settings import Settings

#: Output of a region's stack with what it asks for.
REQUESTS: Final = "certificateRequests"
#: Output of the root's stack with what it signed, by region.
SIGNED: Final = "signedCertificates"

_SMALLEST_RSA: Final = 2048  # bits
_SMALLEST_CURVE: Final = 256  # bits
_PURPOSES: Final = {
    Usage.SERVER: {ExtendedKeyUsageOID.SERVER_AUTH},
    Usage.CLIENT: {ExtendedKeyUsageOID.CLIENT_AUTH},
    Usage.BOTH: {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH},
}
_Named = x509.Certificate | x509.CertificateSigningRequest


class Request(Settings):
    """What a region asks for.

    Attributes:
        request: Certificate request in PEM (PKCS #10).
        usage: What its holder does with the certificate.
        validity_days: How long the certificate is valid.
        renewal_days: How long before its end it is renewed.
        held: The certificate that the region has for it; None before the first.
    """

    request: str
    usage: Usage
    validity_days: int = Field(ge=1, le=825)
    renewal_days: int = Field(ge=0)
    held: str | None = None


class Requests(Settings):
    """Everything that a region asks for.

    Attributes:
        trusted: The roots that the region trusts, in PEM.
        requests: Requests by name.
    """

    trusted: str = ""
    requests: dict[str, Request] = Field(default_factory=dict)


class Answer(Settings):
    """What the root's stack has for one region.

    Attributes:
        trusted: The roots to trust, in PEM.
        certificate: The root that signs, in PEM.
        expires: When that ends, as RFC 3339.
        certificates: Signed certificates in PEM by the name of their request.
    """

    trusted: str
    certificate: str
    expires: str
    certificates: dict[str, str] = Field(default_factory=dict)


def roots(bundle: str) -> list[x509.Certificate]:
    """Read certificates that stand one after another."""
    return x509.load_pem_x509_certificates(bundle.encode()) if bundle.strip() else []


def vouched_for(certificate: x509.Certificate, bundle: str) -> x509.Certificate | None:
    """Return the root that signed a certificate, or None if none of these did."""
    for root in roots(bundle):
        try:
            certificate.verify_directly_issued_by(root)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return root
    return None


def excesses(region: RegionSettings, request: Request) -> Iterator[str]:
    """Yield what a region asks for and may not have.

    Args:
        region: What it may have.
        request: What it asks for.
    """
    try:
        asked = x509.load_pem_x509_csr(request.request.encode())
        names = _names(asked)
    except ValueError as error:
        yield f"its request cannot be read ({error}): run `pulumi up` of {region.stack} again"
        return
    if not asked.is_signature_valid:
        yield f"its request is not signed by its own key: run `pulumi up` of {region.stack} again"
    key = asked.public_key()
    strong = (isinstance(key, RSAPublicKey) and key.key_size >= _SMALLEST_RSA) or (
        isinstance(key, EllipticCurvePublicKey) and key.curve.key_size >= _SMALLEST_CURVE
    )
    if not strong:
        yield f"its key is weaker than RSA {_SMALLEST_RSA} or P-{_SMALLEST_CURVE}: choose another algorithm there"
    for name in sorted(names):
        if not _permits(region.names, name):
            yield f"{name!r} is none of its names ({', '.join(region.names)}): add it to `names` if it may have it"
    for name in _common_names(asked):
        if not _permits(region.names, name) and not any(fnmatchcase(name, each) for each in region.common_names):
            yield f"{name!r} is no common name of its: add it to `commonNames` if it may have it"
    if request.usage is not Usage.CLIENT and not names:
        yield "a server without a name: list there what its clients dial"
    if request.validity_days > region.validity_days:
        yield f"it asks for {request.validity_days} days, and may have {region.validity_days}: raise `validityDays`"
    if request.renewal_days >= request.validity_days:
        yield f"it is renewed {request.renewal_days} days before the end of {request.validity_days}: use less there"


def misfits(certificate: str, request: Request, trusted: str, now: datetime) -> Iterator[str]:
    """Yield why a certificate is not the one that was asked for.

    Args:
        certificate: The certificate, in PEM.
        request: What was asked for.
        trusted: The roots to trust, in PEM.
        now: The time.
    """
    try:
        given = x509.load_pem_x509_certificate(certificate.encode())
        asked = x509.load_pem_x509_csr(request.request.encode())
    except ValueError as error:
        yield f"it cannot be read: {error}"
        return
    if _key(given) != _key(asked):
        yield "it is for another key"
    if (names := _names(given)) != (wanted := _names(asked)):
        yield f"it is for {_listed(names)} instead of {_listed(wanted)}"
    if (common := _common_names(given)) != (wanted_common := _common_names(asked)):
        yield f"its common name is {_listed(common)} instead of {_listed(wanted_common)}"
    if (purposes := _purposes(given)) != _PURPOSES[request.usage]:
        yield f"it is not for {request.usage.value} use" if purposes else "it is for any use"
    if _signs(given):
        yield "it may sign certificates"
    root = vouched_for(given, trusted)
    if root is None:
        yield "none of the trusted roots signed it"
    elif given.not_valid_after_utc > root.not_valid_after_utc:
        yield "it ends after the root that signed it"
    if given.not_valid_after_utc <= now:
        yield f"it ended on {given.not_valid_after_utc:%Y-%m-%d}"


def ungrounded(requests: Requests, signing: str, trusted: str) -> Iterator[str]:
    """Yield why the roots cannot change yet, as far as one region goes.

    Args:
        requests: What the region told of itself.
        signing: The root that signs, in PEM.
        trusted: All roots that will be trusted, in PEM.
    """
    held = {name: each.held for name, each in requests.requests.items() if each.held}
    if held and not _has(requests.trusted, signing):
        yield "it does not trust the generation yet that is to sign"
    for name, certificate in held.items():
        if vouched_for(x509.load_pem_x509_certificate(certificate.encode()), trusted) is None:
            yield f"{name} still has a certificate of a generation that is to be dropped"


def expiry(certificate: str) -> str:
    """Return when a certificate ends, as RFC 3339."""
    return x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")


def _has(bundle: str, certificate: str) -> bool:
    return roots(certificate)[0] in roots(bundle)


def _key(subject: _Named) -> bytes:
    return subject.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _names(subject: _Named) -> set[str]:
    """Return DNS names and addresses, and names of other kinds, which nobody may have, with their kind."""
    try:
        names = subject.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {
        str(name.value)
        if isinstance(name, x509.DNSName | x509.IPAddress)
        else f"{type(name).__name__}:{getattr(name, 'value', '')}"
        for name in names
    }


def _common_names(subject: _Named) -> list[str]:
    return [str(each.value) for each in subject.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _purposes(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    try:
        return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return set()


def _signs(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _permits(patterns: tuple[str, ...], name: str) -> bool:
    if is_address(name):
        address: IPv4Address | IPv6Address = ip_address(name)
        networks = (ip_network(each) for each in patterns if "/" in each or is_address(each))
        return any(address in network for network in networks)
    return any(_label_pattern(each).fullmatch(name) for each in patterns if "/" not in each and not is_address(each))


def _label_pattern(pattern: str) -> re.Pattern[str]:
    return re.compile("[a-z0-9*-]*".join(map(re.escape, pattern.split("*"))), re.IGNORECASE)


def _listed(names: set[str] | list[str]) -> str:
    return ", ".join(sorted(names)) or "no name"
