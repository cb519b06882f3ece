"""How the host looks at HAProxy: would it start with what is staged, and does it run what was written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from components.haproxy_load_balancer.rendering import (
    CHECK_AUTHORITY,
    CHECK_CERTIFICATE,
    CONFIGURATION,
    ENVIRONMENT,
    PEER_AUTHORITY,
    PEER_CERTIFICATE,
)
from components.haproxy_load_balancer.settings import Listener
from components.names import bracketed

_CERTIFICATES: Final = (PEER_CERTIFICATE, PEER_AUTHORITY, CHECK_CERTIFICATE, CHECK_AUTHORITY)
# ss's and ip's own names for "every address", and what it takes to have one.
_EVERY_IPV4: Final = ("*", "0.0.0.0")  # noqa: S104 - to recognise them
_EVERY_IPV6: Final = "::"

_CAN_BIND: Final = r"""can_bind() { # address as ss writes it ('' for all), port, address that the host has to have
    other=$(ss -Hltnp "sport = :$2" | grep -v '"haproxy"' |
        grep -F -e "$1:$2 " -e " 0.0.0.0:$2 " -e " *:$2 " -e " [::]:$2 " || :)
    [ -z "$other" ] || { echo "port $2 is taken by another program: $other"; exit 1; }
    [ -z "$3" ] || ip -o address show to "$3" | grep -q . ||
        { echo "$3 is no address of this host: correct the bind, or say transparent: true for a virtual IP"; exit 1; }
}
"""


def accepted(paths: Sequence[str]) -> str:
    """HAProxy's own checker. The certificates that haproxy.cfg names are themselves still staged."""
    certificates = [path for path in paths if path in _CERTIFICATES]
    if not certificates:
        return f"haproxy -c -f @{{{ENVIRONMENT}}} -f @{{{CONFIGURATION}}}"
    copy = "/run/sealed-data-tier/haproxy.cfg"
    replace = " ".join(f"-e 's| {path} | @{{{path}}} |g'" for path in certificates)
    return f"sed {replace} @{{{CONFIGURATION}}} >{copy}\nhaproxy -c -f @{{{ENVIRONMENT}}} -f {copy}"


def can_bind(listeners: Iterable[Listener]) -> str:
    """What `haproxy -c` does not look at.

    A new process that cannot have a port takes it from the old one for two seconds while it tries again and again.
    """
    return _CAN_BIND + "\n".join(
        f"can_bind '{_pattern(each.address)}' {each.port} '{_needed(each)}'" for each in listeners
    )


def _pattern(address: str) -> str:
    return "" if address in (*_EVERY_IPV4, _EVERY_IPV6) else f" {bracketed(address)}"


def _needed(listener: Listener) -> str:
    if listener.transparent or listener.address in _EVERY_IPV4 or listener.address.startswith("127."):
        return ""
    return "::1" if listener.address == _EVERY_IPV6 else listener.address


def runs_this(stats_socket: str) -> str:
    """A reload reports success before the new process has started, and says nothing when that one fails."""
    return (
        f"want=$(sed -n 's/^ *description //p' {ENVIRONMENT})\n"
        f"echo 'show info' | socat -t 5 - UNIX-CONNECT:{stats_socket} | grep -Fqx \"description: $want\" ||\n"
        "    { journalctl -q -o cat --since -1min -u haproxy.service |\n"
        "        grep -F -e '[ALERT]' -e '[WARNING]' | tail -n 5\n"
        "      exit 1; }"
    )


def listens(listener: Listener) -> str:
    """HAProxy itself holds the port."""
    address = _EVERY_IPV4[1] if listener.address == "*" else bracketed(listener.address)
    port = listener.port
    return f"ss -Hltnp 'sport = :{port}' | grep -F ' {address}:{port} ' | grep -Fq '\"haproxy\"'"
