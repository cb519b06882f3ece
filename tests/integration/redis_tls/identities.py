"""Certificates that an authority would never make, to see them refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.integration.redis_tls.stack import Identity

_DAY = timedelta(days=1)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def stranger() -> tuple[x509.Certificate, Any]:
    """An authority that nobody trusts."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(_name("stranger")).issuer_name(_name("stranger"))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - _DAY).not_valid_after(now + _DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()), key


def issue(
    directory: Path,
    name: str,
    authority: tuple[x509.Certificate, Any],
    *,
    usage: x509.ObjectIdentifier = CLIENT,
    ended: bool = False,
    address: str | None = None,
    root: Path,
) -> Identity:
    """Make a certificate.

    Args:
        directory: Where its files go.
        name: What they are called.
        authority: Certificate and key of who signs.
        usage: What it may be used for.
        ended: Whether it is over already.
        address: An address that it is for.
        root: What its holder trusts.
    """
    certificate, signer = authority
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    start, end = (now - 2 * _DAY, now - _DAY) if ended else (now - _DAY, now + _DAY)
    builder = x509.CertificateBuilder().subject_name(_name(name)).issuer_name(certificate.subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(end)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if address:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), False)
    paths = directory / f"{name}.crt", directory / f"{name}.key"
    paths[0].write_bytes(builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Identity(root, *paths)
