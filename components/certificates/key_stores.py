"""Certificates and keys as Java reads them: stores in PKCS #12 (RFC 7292).

Other writers draw salts at random, so that the same certificate gives another file each time: every preview would show
a change, and what is named by its content would be new each time. Here the salt comes from the password and the
content: equal stores are equal files, and different ones share no salt.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Any, Final

from asn1crypto import pem, pkcs12
from asn1crypto.algos import Pbkdf2Salt
from asn1crypto.core import OctetString
from asn1crypto.x509 import Certificate
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

_ROUNDS: Final = 10_000  # as the JDK since version 16; these passwords are generated, not thought of
_KEY_BYTES: Final = 32
_SALT_BYTES: Final = 20
_BLOCK_BYTES: Final = 16

Bag = dict[str, Any]


def key_store(certificate: str, private_key: str, password: str, *, alias: str) -> bytes:
    """Write a key and its certificate: what a Java client shows of itself.

    Args:
        certificate: The certificate in PEM; certificates that follow it lead to its root.
        private_key: Its key in PEM, not encrypted.
        password: Protects the key (PBES2 with AES-256: Java 8u301, 11.0.12 or newer).
        alias: Name of the entry.
    """
    first, *others = certificates(certificate)
    key = serialization.load_pem_private_key(private_key.encode(), None).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # Java finds the certificate of a key by the same identifier on both.
    attributes: list[Bag] = [
        {"type": "friendly_name", "values": [alias]},
        {"type": "local_key_id", "values": [hashlib.sha256(first).digest()]},
    ]
    key_bag = {
        "bag_id": "pkcs8_shrouded_key_bag",
        "bag_value": _encrypted(key, password),
        "bag_attributes": attributes,
    }
    shown = [_certificate_bag(first, attributes), *(_certificate_bag(each, []) for each in others)]
    return _store([shown, [key_bag]])


def certificates(text: str) -> list[bytes]:
    """Return the certificates of a text in PEM, in DER.

    Those of public authorities are taken as they are: some of them would not pass as certificates of today.

    Raises:
        ValueError: There is none, or something else is among them.
    """
    found = [der for _, _, der in pem.unarmor(text.encode(), multiple=True)]
    for der in found:
        Certificate.load(der, strict=True).serial_number  # noqa: B018 - it is only read when it is asked for
    if not found:
        raise ValueError("there is no certificate")
    return found


def trust_store(authorities: Iterable[str]) -> bytes:
    """Write certificates that a Java client trusts; they are no secret, and the store needs no password.

    Args:
        authorities: Certificates in PEM, one or more a text; what is there twice is written once.
    """
    ders = (der for text in authorities for der in certificates(text))
    return _store([[_certificate_bag(each, _trusted(each)) for each in dict.fromkeys(ders)]])


def _trusted(certificate: bytes) -> list[Bag]:
    # To Java a certificate without this is nobody's authority (sun.security.pkcs12.PKCS12KeyStore).
    usage = {"type": "trusted_key_usage", "values": ["any_extended_key_usage"]}
    return [{"type": "friendly_name", "values": [hashlib.sha256(certificate).hexdigest()]}, usage]


def _certificate_bag(der: bytes, attributes: list[Bag]) -> Bag:
    value = pkcs12.CertBag({"cert_id": "x509", "cert_value": Certificate.load(der)})
    return {"bag_id": "cert_bag", "bag_value": value, "bag_attributes": attributes}


def _encrypted(key: bytes, password: str) -> Bag:
    """Encrypt a key in PKCS #8 by PBES2 (RFC 8018)."""
    salt, vector = _drawn(password, key, b"salt", _SALT_BYTES), _drawn(password, key, b"vector", _BLOCK_BYTES)
    secret = PBKDF2HMAC(hashes.SHA256(), _KEY_BYTES, salt, _ROUNDS).derive(password.encode())
    padder = padding.PKCS7(8 * _BLOCK_BYTES).padder()
    encryptor = Cipher(algorithms.AES(secret), modes.CBC(vector)).encryptor()
    derivation = {
        "algorithm": "pbkdf2",
        "parameters": {
            "salt": Pbkdf2Salt("specified", OctetString(salt)),
            "iteration_count": _ROUNDS,
            "key_length": _KEY_BYTES,
            "prf": {"algorithm": "sha256"},
        },
    }
    return {
        "encryption_algorithm": {
            "algorithm": "pbes2",
            "parameters": {
                "key_derivation_func": derivation,
                "encryption_scheme": {"algorithm": "aes256_cbc", "parameters": vector},
            },
        },
        "encrypted_data": encryptor.update(padder.update(key) + padder.finalize()) + encryptor.finalize(),
    }


def _drawn(password: str, content: bytes, purpose: bytes, length: int) -> bytes:
    return hmac.digest(password.encode(), purpose + content, "sha256")[:length]


def _store(contents: Sequence[list[Bag]]) -> bytes:
    """Write a store, without a code that vouches for it: whoever may change it may change the password beside it."""
    safes = [{"content_type": "data", "content": pkcs12.SafeContents(bags).dump()} for bags in contents]
    whole = pkcs12.AuthenticatedSafe(safes).dump()
    store = pkcs12.Pfx({"version": "v3", "auth_safe": {"content_type": "data", "content": whole}})
    return bytes(store.dump())
