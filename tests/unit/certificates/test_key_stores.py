"""Java's stores, read back by another implementation."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Final

import pytest
from asn1crypto import pkcs12 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from components.certificates.key_stores import certificates, key_store, trust_store

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
KEYS: Final[dict[str, Callable[[], Key]]] = {
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
}


def made(name: str, key: Key) -> str:
    """A certificate in PEM, signed by itself."""
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def pem(key: Key) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_key_store_is_read_back(kind: str) -> None:
    key = KEYS[kind]()
    first, above = made("client", key), made("above", key)
    store = key_store(first + above, pem(key), "secret", alias="redis-client")
    read = pkcs12.load_pkcs12(store, b"secret")
    assert read.cert is not None
    assert read.cert.friendly_name == b"redis-client"
    assert read.cert.certificate.subject.rfc4514_string() == "CN=client"
    assert [each.certificate.subject.rfc4514_string() for each in read.additional_certs] == ["CN=above"]
    assert isinstance(read.key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    assert pem(read.key) == pem(key)


def test_key_needs_its_password() -> None:
    key = KEYS["ecdsa"]()
    store = key_store(made("client", key), pem(key), "secret", alias="a")
    der = key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    assert der not in store
    with pytest.raises(ValueError, match="password"):
        pkcs12.load_pkcs12(store, b"wrong")


def test_equal_stores_are_equal_files_and_others_share_nothing() -> None:
    key, other = KEYS["ecdsa"](), KEYS["ecdsa"]()
    one = made("client", key)
    stores = [
        key_store(certificate, pem(each), password, alias="a")
        for certificate, each, password in (
            (one, key, "secret"),
            (one, key, "secret"),
            (one, key, "other"),
            (made("client", other), other, "secret"),
        )
    ]
    assert stores[0] == stores[1]
    assert len({salt(store) for store in stores}) == 3


def salt(store: bytes) -> bytes:
    """What the key's encryption was salted with."""
    bags = asn1.SafeContents.load(asn1.Pfx.load(store).authenticated_safe[1]["content"].native)
    scheme = bags[0]["bag_value"]["encryption_algorithm"]
    return bytes(scheme["parameters"]["key_derivation_func"]["parameters"]["salt"].native)


@pytest.mark.parametrize(
    "text", ["", "-----BEGIN", "none", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"]
)
def test_what_holds_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        certificates(text)


def test_trust_store_is_read_back_and_each_certificate_is_there_once() -> None:
    key = KEYS["ecdsa"]()
    one, two = made("one", key), made("two", key)
    bags = asn1.SafeContents.load(asn1.Pfx.load(trust_store([one + two, one])).authenticated_safe[0]["content"].native)
    assert [each["bag_id"].native for each in bags] == ["cert_bag", "cert_bag"]
    for bag in bags:
        assert {each["type"].native for each in bag["bag_attributes"]} == {"friendly_name", "trusted_key_usage"}
