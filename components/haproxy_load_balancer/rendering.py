"""The files of a load balancer: settings in, text out."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping
from typing import Final

from components.errors import ConfigurationError
from components.haproxy_load_balancer.settings import READINESS, Backend, HaproxySettings
from components.templates import Templates

CONFIGURATION: Final = "/etc/haproxy/haproxy.cfg"
ENVIRONMENT: Final = "/etc/haproxy/environment.cfg"
PEER_CERTIFICATE: Final = "/etc/haproxy/peers.pem"
PEER_AUTHORITY: Final = "/etc/haproxy/peers-ca.pem"
CHECK_CERTIFICATE: Final = "/etc/haproxy/check.pem"
CHECK_AUTHORITY: Final = "/etc/haproxy/check-ca.pem"

_TEMPLATES: Final = Templates(__file__)
_HELLO_DELAY: Final = "5s"  # a client has this long for its TLS ClientHello
_OWN_TABLES: Final = "own_tables"
# Bytes of a quoted argument that neither Redis nor HAProxy's strong quotes give a meaning.
_PLAIN: Final = frozenset((string.ascii_letters + string.digits + "-_.,:;+=@%/~^*!?#()[]<>|&").encode())


def configuration(settings: HaproxySettings, *, stats_socket: str, local_peer: str) -> str:
    """Render haproxy.cfg.

    Args:
        settings: What it is told.
        stats_socket: Path of the runtime API's socket.
        local_peer: Name of this load balancer among the peers.
    """
    members = settings.peers.members if settings.peers else ()
    identity = _identity(PEER_CERTIFICATE, PEER_AUTHORITY)
    return _TEMPLATES.render(
        "haproxy.cfg.j2",
        {
            "settings": settings,
            "stats_socket": stats_socket,
            "local_peer": local_peer,
            "local": next((member for member in members if member.name == local_peer), None),
            "peers_section": settings.peers.name if settings.peers else _OWN_TABLES,
            "peers_identity": f" ssl {identity}" if settings.peers and settings.peers.tls else "",
            "check_identity": _identity(CHECK_CERTIFICATE, CHECK_AUTHORITY),
            "table_type": lambda backend: _table_type(settings, backend),
            "hello_delay": _HELLO_DELAY,
            "readiness": READINESS,
        },
    )


def environment(passwords: Mapping[str, str], *, fingerprint: str) -> str:
    r"""Render environment.cfg, the secret file that haproxy.cfg takes its passwords from.

    A password stands in it as a quoted argument of Redis has it, `\xHH` for every byte with a meaning of its own, so
    that any password passes unharmed through HAProxy's quotes and Redis's.

    Args:
        passwords: Values by variable.
        fingerprint: Tells this configuration from every other.

    Raises:
        ConfigurationError: Where a password is empty.
    """
    for name in passwords:
        if not passwords[name]:
            raise ConfigurationError(f"passwords[{name!r}]", "", "give a password")
    variables = [(name, _quoted(passwords[name])) for name in sorted(passwords)]
    return _TEMPLATES.render("environment.cfg.j2", {"fingerprint": fingerprint, "variables": variables})


def service_drop_in() -> str:
    """Return the drop-in of haproxy.service."""
    return _TEMPLATES.render("haproxy.service.conf", {})


def fingerprint(*parts: str) -> str:
    """Return a short text that changes with any of the parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()[:16]


def _identity(certificate: str, authority: str) -> str:
    return f"crt {certificate} ca-file {authority} verify required ssl-min-ver TLSv1.2"


def _quoted(password: str) -> str:
    return "".join(chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in password.encode())


def _table_type(settings: HaproxySettings, backend: Backend) -> str:
    """An `ipv6` table keeps addresses of both families."""
    return "ipv6" if any(frontend.sees_ipv6 for frontend in settings.frontends_of(backend)) else "ip"
