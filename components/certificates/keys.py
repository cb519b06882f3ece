"""Private keys by pulumi-tls."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pulumi_tls as tls

from components.certificates.settings import KeyAlgorithm

_PARAMETERS: Final[dict[KeyAlgorithm, dict[str, Any]]] = {
    KeyAlgorithm.ECDSA_P256: {"algorithm": "ECDSA", "ecdsa_curve": "P256"},
    KeyAlgorithm.ECDSA_P384: {"algorithm": "ECDSA", "ecdsa_curve": "P384"},
    KeyAlgorithm.RSA_3072: {"algorithm": "RSA", "rsa_bits": 3072},
    KeyAlgorithm.RSA_4096: {"algorithm": "RSA", "rsa_bits": 4096},
}


def private_key(name: str, algorithm: KeyAlgorithm, opts: pulumi.ResourceOptions) -> tls.PrivateKey:
    """Register a private key; it stays in the state, encrypted."""
    return tls.PrivateKey(name, **_PARAMETERS[algorithm], opts=opts)
