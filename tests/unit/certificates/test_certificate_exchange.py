"""What a root refuses to sign for a region, and what a region refuses to take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from components.certificates import CertificateAuthority, RegionCertificatesArgs, RegionSettings, Usage
from components.certificates.exchange import Request, Requests, excesses, misfits, ungrounded
from components.errors import ConfigurationError

NOW: Final = datetime(2026, 11, 1, tzinfo=UTC)
KEY: Final = ec.generate_private_key(ec.SECP256R1())
OTHER: Final = ec.generate_private_key(ec.SECP256R1())
NAMES: Final = ("redis1.eu.example.com", "192.0.2.1", "2001:db8::1")
EU: Final = RegionSettings(
    stack="acme/data-tier/eu",
    names=("*.eu.example.com", "192.0.2.0/24", "2001:db8::/64"),
    common_names=("redis*",),
)


def named(names: tuple[str, ...]) -> x509.SubjectAlternativeName:
    """Names of both kinds."""
    return x509.SubjectAlternativeName(
        [x509.DNSName(name) if name[-1].isalpha() else x509.IPAddress(ip_address(name)) for name in names]
    )


def subject(common_name: str) -> x509.Name:
    """A subject."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def request(
    *names: str, key: Any = KEY, common_name: str = "redis1", extra: x509.GeneralName | None = None, **changes: Any
) -> Request:
    """A request of a region, all right unless told otherwise."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject(common_name))
    alternatives = [*named(names), *([extra] if extra else [])]
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    pem = builder.sign(key, digest).public_bytes(Encoding.PEM).decode()
    return Request(**{"request": pem, "usage": Usage.BOTH, "validity_days": 90, "renewal_days": 30, **changes})


def certificate(
    *names: str, signer: Any = OTHER, key: Any = KEY, ca: bool = False, days: int = 90, **changes: Any
) -> str:
    """A certificate that the root `signer` issued, or that root itself."""
    purposes = changes.get("purposes", [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject(changes.get("common_name", "redis1")))
        .issuer_name(subject("root"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(named(names), critical=False)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def root(key: Any, days: int = 3650) -> str:
    """A root."""
    return certificate(signer=key, key=key, ca=True, days=days, common_name="root", purposes=[])


TRUSTED: Final = root(OTHER)


# --- the root looks at requests ---


def test_what_a_region_may_have_is_signed() -> None:
    assert list(excesses(EU, request(*NAMES))) == []
    assert list(excesses(EU, request(*NAMES, common_name="redis1.eu.example.com"))) == []
    assert list(excesses(EU, request(usage=Usage.CLIENT))) == []


@pytest.mark.parametrize(
    "name",
    ["redis1.us.example.com", "eu.example.com", "a.b.eu.example.com", "redis1.eu.example.com.evil.org", "192.0.3.1"],
)
def test_other_names_are_refused(name: str) -> None:
    [problem] = excesses(EU, request(name))
    assert problem.startswith(f"{name!r} is none of its names (*.eu.example.com, 192.0.2.0/24, 2001:db8::/64)")


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (request(*NAMES, common_name="postgres"), "'postgres' is no common name of its: add it to `commonNames`"),
        (request(), "a server without a name"),
        (request(*NAMES, validity_days=91), "it asks for 91 days, and may have 90: raise `validityDays`"),
        (request(*NAMES, renewal_days=90), "it is renewed 90 days before the end of 90"),
        (request(*NAMES, key=ec.generate_private_key(ec.SECP224R1())), "its key is weaker than RSA 2048 or P-256"),
        (request(*NAMES, key=rsa.generate_private_key(65537, 1024)), "its key is weaker than RSA 2048 or P-256"),
        (
            request(*NAMES, extra=x509.UniformResourceIdentifier("spiffe://eu.example.com/x")),
            "'UniformResourceIdentifier:spiffe://eu.example.com/x' is none of its names",
        ),
        (Request(request="no", usage=Usage.BOTH, validity_days=1, renewal_days=0), "its request cannot be read"),
    ],
)
def test_what_else_is_refused(asked: Request, problem: str) -> None:
    [told] = excesses(EU, asked)
    assert told.startswith(problem)


def test_request_of_somebody_elses_key_is_refused() -> None:
    pem = request(*NAMES).request.splitlines()
    at = len(pem) - 3  # within the signature
    pem[at] = pem[at][:10] + ("A" if pem[at][10] != "A" else "B") + pem[at][11:]
    told = list(excesses(EU, request(*NAMES).model_copy(update={"request": "\n".join(pem) + "\n"})))
    assert any("not signed by its own key" in each or "cannot be read" in each for each in told)


# --- the region looks at certificates ---


def test_what_was_asked_for_fits() -> None:
    assert list(misfits(certificate(*NAMES), request(*NAMES), TRUSTED, NOW)) == []
    assert list(misfits(certificate(*NAMES), request(*NAMES), root(KEY) + TRUSTED, NOW)) == []


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (certificate(*NAMES, key=OTHER), "it is for another key"),
        (certificate(*NAMES[1:]), "it is for 192.0.2.1, 2001:db8::1 instead of 192.0.2.1, 2001:db8::1, redis1.eu"),
        (certificate(*NAMES, common_name="x"), "its common name is x instead of redis1"),
        (certificate(*NAMES, purposes=[ExtendedKeyUsageOID.SERVER_AUTH]), "it is not for both use"),
        (certificate(*NAMES, purposes=[]), "it is for any use"),
        (certificate(*NAMES, ca=True), "it may sign certificates"),
        (certificate(*NAMES, signer=KEY), "none of the trusted roots signed it"),
        (certificate(*NAMES, days=3651), "it ends after the root that signed it"),
        (certificate(*NAMES, days=0), "it ended on 2026-11-01"),
        ("no", "it cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused(given: str, problem: str) -> None:
    [told] = misfits(given, request(*NAMES), TRUSTED, NOW)
    assert told.startswith(problem)


# --- roots change in order ---


def test_roots_change_once_the_region_is_ready() -> None:
    held = request(*NAMES, held=certificate(*NAMES))
    old, new = TRUSTED, root(KEY)
    assert list(ungrounded(Requests(), new, new)) == []
    assert list(ungrounded(Requests(trusted=old + new, requests={"a": held}), new, old + new)) == []
    [early] = ungrounded(Requests(trusted=old, requests={"a": held}), new, old + new)
    assert early.startswith("it does not trust the generation yet")
    [early] = ungrounded(Requests(trusted=old + new, requests={"a": held}), new, new)
    assert early.startswith("a still has a certificate of a generation that is to be dropped")


@pytest.mark.parametrize(
    ("regions", "problem"),
    [
        ({"EU 1": EU}, "regions.EU 1: 'EU 1' cannot be used: use up to 63"),
        ({"eu": EU, "us": EU}, "regions.us.stack: 'acme/data-tier/eu' cannot be used: it is that of regions.eu"),
    ],
)
def test_regions_that_cannot_be_are_refused(regions: dict[str, RegionSettings], problem: str) -> None:
    authority = object.__new__(CertificateAuthority)
    with pytest.raises(ConfigurationError) as refused:
        RegionCertificatesArgs(authority=authority, regions=regions)
    assert str(refused.value).startswith(problem)
