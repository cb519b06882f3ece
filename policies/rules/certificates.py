"""Certificates: keys that hold, certificates that are for what they are for, renewed before they end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.dsa import DSAPublicKey
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from policies.rules.finding import Finding, Issued

KEY: Final = "tls:index/privateKey:PrivateKey"
REQUEST: Final = "tls:index/certRequest:CertRequest"
ROOT: Final = "tls:index/selfSignedCert:SelfSignedCert"
CERTIFICATE: Final = "tls:index/locallySignedCert:LocallySignedCert"

RULES: Final = {
    "weak-key": "keys of RSA with at least 2048 bits, of ECDSA on P-256 or wider, or Ed25519",
    "authority-usage": "a CA signs certificates and nothing else",
    "leaf-usage": "a certificate that is no CA's cannot sign, and says what it is for",
    "server-name": "a server's certificate has the names that clients dial as alternative names",
    "peer-usage": "nodes that are each other's clients have certificates for both",
    "certificate-lifetime": "a certificate is valid for at most 825 days, and no longer than its CA",
    "renewal-window": "a certificate is renewed by a deployment before it ends, and not by each one",
}
OPTIONS: Final = {
    "deployIntervalDays": {
        "type": "integer",
        "minimum": 1,
        "default": 7,
        "description": "Days between deployments: a renewal window has to be longer.",
    },
}

_HOURS: Final = 24  # of a day
_LONGEST_H: Final = 825 * _HOURS  # what Apple's and others' clients take
_SMALLEST_RSA: Final = 2048  # bits
_SMALLEST_CURVE: Final = 256  # bits
_CURVES: Final = frozenset({"P256", "P384", "P521"})
# Defaults of the provider (hashicorp/tls, private_key).
_DEFAULT_BITS: Final = 2048
_DEFAULT_CURVE: Final = "P224"
_SIGNS: Final = frozenset({"cert_signing", "crl_signing"})
_WIDEST: Final = "any_extended"
# RFC 5280, 4.2.1.3: what is no purpose by itself.
_KEY_USAGES: Final = _SIGNS | {
    *("content_commitment", "data_encipherment", "decipher_only", "digital_signature", "encipher_only"),
    *("key_agreement", "key_encipherment"),
}
#: Components whose nodes dial each other.
PEERS: Final = frozenset(
    {"sealed-data-tier:postgres_ha_pair:PostgresHaPair", "sealed-data-tier:redis_tls_cluster:RedisTlsCluster"}
)


def check(issued: Issued, options: Mapping[str, Any]) -> Iterator[Finding]:
    """Find what is wrong with a resource of pulumi-tls.

    Args:
        issued: The resource.
        options: `deployIntervalDays`.
    """
    if issued.kind == KEY:
        yield from _key(issued)
        return
    yield from _asked_key(issued)
    if issued.kind == REQUEST:
        return
    uses = frozenset(issued.inputs.get("allowedUses") or ())
    if "allowedUses" in issued.unknown or "isCaCertificate" in issued.unknown:
        return
    if issued.inputs.get("isCaCertificate"):
        yield from _authority(uses)
        return
    yield from _leaf(issued, uses)
    yield from _lifetime(issued)
    yield from _renewal(issued, int(options["deployIntervalDays"]))


def _key(issued: Issued) -> Iterator[Finding]:
    algorithm = str(issued.inputs.get("algorithm", "")).upper()
    if algorithm == "RSA" and "rsaBits" not in issued.unknown:
        bits = int(issued.inputs.get("rsaBits") or _DEFAULT_BITS)
        if bits < _SMALLEST_RSA:
            yield _finding("weak-key", "rsaBits", str(bits), "it can be factored", f"use {_SMALLEST_RSA} or more")
    if algorithm == "ECDSA" and "ecdsaCurve" not in issued.unknown:
        curve = issued.inputs.get("ecdsaCurve")
        if (curve or _DEFAULT_CURVE) not in _CURVES:
            absent = "" if curve else f" (without a curve it is {_DEFAULT_CURVE})"
            yield _finding(
                "weak-key", "ecdsaCurve", curve or "", f"the curve is too small{absent}", "use P256 or wider"
            )


def _asked_key(issued: Issued) -> Iterator[Finding]:
    """Look at the key of a request that comes from elsewhere; one of this program is a resource of its own."""
    request = _request(issued)
    key = request.public_key() if request else None
    value = ""
    if isinstance(key, DSAPublicKey):
        value = "DSA"
    elif isinstance(key, RSAPublicKey) and key.key_size < _SMALLEST_RSA:
        value = f"RSA of {key.key_size} bits"
    elif isinstance(key, EllipticCurvePublicKey) and key.curve.key_size < _SMALLEST_CURVE:
        value = f"ECDSA on {key.curve.name}"
    if value:
        fix = f"ask with RSA of {_SMALLEST_RSA} bits or more, with P-256 or wider, or with Ed25519"
        yield _finding("weak-key", "certRequestPem", value, "the key of the request is too weak", fix)


def _authority(uses: frozenset[str]) -> Iterator[Finding]:
    if more := sorted(uses - _SIGNS):
        problem = "who has this CA's key can do with it what leaves are for"
        yield _finding("authority-usage", "allowedUses", ", ".join(more), problem, "allow cert_signing and crl_signing")
    if "cert_signing" not in uses:
        yield _finding("authority-usage", "allowedUses", "", "the CA may not sign", "allow cert_signing")


def _leaf(issued: Issued, uses: frozenset[str]) -> Iterator[Finding]:
    listed = ", ".join(sorted(uses))
    if uses & _SIGNS:
        problem = "whoever has its key can issue certificates in every name"
        yield _finding("leaf-usage", "allowedUses", listed, problem, "leave cert_signing and crl_signing out")
    if _WIDEST in uses or not uses - _KEY_USAGES:
        problem = "it is good for anything"
        yield _finding("leaf-usage", "allowedUses", listed, problem, "allow server_auth, client_auth or both")
    if "server_auth" in uses and _names(issued) == 0:
        where = "certRequestPem" if issued.kind == CERTIFICATE else "dnsNames"
        problem = "clients compare alternative names, and it has none"
        fix = "list every DNS name and address that a client dials in dns_names and ip_addresses"
        yield _finding("server-name", where, "no alternative name", problem, fix)
    if "server_auth" in uses and "client_auth" not in uses and (peers := PEERS & set(issued.above)):
        problem = f"nodes of {min(peers).rpartition(':')[2]} dial each other, and would be refused"
        yield _finding("peer-usage", "allowedUses", listed, problem, "allow client_auth too (usage `both`)")


def _names(issued: Issued) -> int | None:
    """Count alternative names; None where they are not known."""
    inputs = issued.inputs
    if issued.kind == ROOT:
        fields = ("dnsNames", "ipAddresses")
        return None if issued.unknown & {*fields} else sum(len(inputs.get(each) or ()) for each in fields)
    request = _request(issued)
    if request is None:
        return None
    try:
        return len(list(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value))
    except x509.ExtensionNotFound:
        return 0
    except ValueError:
        return None


def _lifetime(issued: Issued) -> Iterator[Finding]:
    hours = _hours(issued, "validityPeriodHours")
    if hours is None:
        return
    if hours > _LONGEST_H:
        problem = f"{hours / _HOURS:g} days are more than clients take, and long to live with a stolen key"
        fix = f"use {_LONGEST_H} ({_LONGEST_H // _HOURS} days) or, better, 2160"
        yield _finding("certificate-lifetime", "validityPeriodHours", str(hours), problem, fix)
    whole = _authority_hours(issued)
    if whole is not None and hours > whole:
        problem = f"its CA is valid for {whole} hours only: nobody would trust it to its end"
        yield _finding("certificate-lifetime", "validityPeriodHours", str(hours), problem, "use less than its CA's")


def _authority_hours(issued: Issued) -> int | None:
    text = issued.inputs.get("caCertPem")
    if not isinstance(text, str):
        return None
    try:
        authority = x509.load_pem_x509_certificate(text.encode())
    except ValueError:
        return None
    return int((authority.not_valid_after_utc - authority.not_valid_before_utc).total_seconds()) // 3600


def _renewal(issued: Issued, interval_days: int) -> Iterator[Finding]:
    hours, early = _hours(issued, "validityPeriodHours"), _hours(issued, "earlyRenewalHours")
    if early is None:
        return
    value = str(early) if issued.inputs.get("earlyRenewalHours") is not None else ""
    if early <= interval_days * _HOURS:
        problem = f"a deployment every {interval_days} days may come after its end"
        fix = f"use more than {interval_days * _HOURS}, or deploy more often and set deployIntervalDays"
        yield _finding("renewal-window", "earlyRenewalHours", value, problem, fix)
    if hours is not None and early >= hours:
        problem = f"it is valid for {hours} hours, so that every deployment issues a new one"
        yield _finding("renewal-window", "earlyRenewalHours", value, problem, f"use less than {hours}")


def _hours(issued: Issued, name: str) -> int | None:
    """Return a number of hours; None where it is not known."""
    return None if name in issued.unknown else int(issued.inputs.get(name) or 0)


def _request(issued: Issued) -> x509.CertificateSigningRequest | None:
    text = issued.inputs.get("certRequestPem")
    if not isinstance(text, str):
        return None
    try:
        return x509.load_pem_x509_csr(text.encode())
    except ValueError:
        return None


def _finding(rule: str, place: str, value: str, problem: str, fix: str) -> Finding:
    return Finding(rule=rule, path=place, value=value, problem=problem, fix=fix)
