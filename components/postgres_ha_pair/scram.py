"""Passwords as PostgreSQL keeps them, so that no plaintext password ever reaches a server, its log or its history."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

# What the server itself uses (scram_iterations, and src/include/common/scram-common.h for the salt's length).
_ITERATIONS: Final = 4096
_SALT_LENGTH: Final = 16


def verifier(login: str, password: str) -> str:
    """Return what `CREATE ROLE … PASSWORD` takes for a password that is hashed already (RFC 5803, RFC 7677).

    The salt is made of the login and the password: an unchanged password is an unchanged text, and no host is touched.

    Args:
        login: Role that logs in.
        password: Its password, printable ASCII: what SASLprep (RFC 4013) leaves as it is.
    """
    salt = hmac.new(password.encode(), f"salt of {login}".encode(), hashlib.sha256).digest()[:_SALT_LENGTH]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    client = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
    stored = hashlib.sha256(client).digest()
    server = hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    texts = (base64.b64encode(each).decode() for each in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(_ITERATIONS, *texts)
