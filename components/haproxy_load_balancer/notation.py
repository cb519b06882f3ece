"""Values in HAProxy's notation, checked where they enter."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final, TypeVar

from pydantic import AfterValidator

from components.names import host_name, is_address

_TIME: Final = re.compile(r"([1-9]\d{0,9})(ms|s|m|h|d)")
_MILLISECONDS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_TIME_MS: Final = 2**31 - 1  # HAProxy's timers are 32-bit milliseconds, signed: 24.8 days
_SIZE: Final = re.compile(r"[1-9]\d{0,8}[kmg]?")
# invalid_char() in HAProxy's sources; the length keeps a log line readable.
_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_VARIABLE: Final = re.compile(r"(?!HAPROXY_)[A-Z][A-Z0-9_]{0,63}")
_ACL_USER: Final = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
_CERTIFICATE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+( [A-Za-z0-9_.-]+)*")
_LONGEST_CERTIFICATE_NAME: Final = 253
_LONGEST_REASON: Final = 200

Item = TypeVar("Item")


def _time(text: str) -> str:
    if (match := _TIME.fullmatch(text)) and int(match[1]) * _MILLISECONDS[match[2]] <= _LONGEST_TIME_MS:
        return text
    raise ValueError(f"{text!r} is no time: give one number and a unit (ms, s, m, h, d), for example '10s', up to 24d")


def milliseconds(time: str) -> int:
    """Convert a time such as `10s` to milliseconds."""
    match = _TIME.fullmatch(time)
    if match is None:
        raise ValueError(f"{time!r} is no time")
    return int(match[1]) * _MILLISECONDS[match[2]]


def _size(text: str) -> str:
    if _SIZE.fullmatch(text):
        return text
    raise ValueError(f"{text!r} is no size: give a number, with k, m or g for multiples of 1024, for example '100k'")


def _name(text: str) -> str:
    if _NAME.fullmatch(text):
        return text
    raise ValueError(f"{text!r} is no name that HAProxy takes: use letters, digits, '-', '_', '.' and ':'")


def _variable(text: str) -> str:
    if _VARIABLE.fullmatch(text):
        return text
    raise ValueError(
        f"{text!r} is no variable: use capitals, digits and '_', not beginning with 'HAPROXY_', "
        "for example 'CACHE_SERVICE_PASSWORD'"
    )


def _acl_user(text: str) -> str:
    if _ACL_USER.fullmatch(text):
        return text
    raise ValueError(f"{text!r} is no user: use letters, digits, '-', '_', '.' and '@'")


def _address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = None
    if address is None or "%" in text or (address.version == 6 and address.ipv4_mapped):  # noqa: PLR2004 - IPv6
        raise ValueError(f"{text!r} is no address to listen on or dial: give one such as '127.0.0.1' or '::1'")
    return str(address)


def _bind_address(text: str) -> str:
    return text if text == "*" else _address(text)


def _server_address(text: str) -> str:
    if is_address(text) or not text.isprintable():
        return _address(text)
    return host_name(text)


def _certificate_name(text: str) -> str:
    if is_address(text):
        raise ValueError(f"{text!r} is an address, and HAProxy compares names only: give a DNS name or the common name")
    if _CERTIFICATE_NAME.fullmatch(text) and len(text) <= _LONGEST_CERTIFICATE_NAME:
        return text
    raise ValueError(f"{text!r} is no name of a certificate: use letters, digits, '-', '_', '.' and single spaces")


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is no network: give one such as '10.0.0.0/24' ({error})") from None


def _reason(text: str) -> str:
    if text.strip() and text.isprintable() and len(text) <= _LONGEST_REASON:
        return text.strip()
    raise ValueError(f"{text!r} is no reason: say in one line of up to {_LONGEST_REASON} characters who connects")


def _not_empty(items: tuple[Item, ...]) -> tuple[Item, ...]:
    if items:
        return items
    raise ValueError("is empty: list at least one")


#: One or more. (`min_length` would add a second, misleading error wherever an item is wrong.)
Some = Annotated[tuple[Item, ...], AfterValidator(_not_empty)]
#: A span of time in HAProxy's notation (configuration manual 2.5), always with its unit: `500ms`, `10s`, `3h`.
Time = Annotated[str, AfterValidator(_time)]
#: A number of entries, `k`, `m` or `g` for multiples of 1024.
Size = Annotated[str, AfterValidator(_size)]
#: Name of a proxy, a server or a peer.
Name = Annotated[str, AfterValidator(_name)]
#: Name of an environment variable that holds a password.
Variable = Annotated[str, AfterValidator(_variable)]
#: An IPv4 or IPv6 address.
Address = Annotated[str, AfterValidator(_address)]
#: The same, or `*` for every IPv4 address of the host.
BindAddress = Annotated[str, AfterValidator(_bind_address)]
#: An IP address or a DNS name.
ServerAddress = Annotated[str, AfterValidator(_server_address)]
#: A network in CIDR notation.
Network = Annotated[str, AfterValidator(_network)]
#: Why something is open, in one line.
Reason = Annotated[str, AfterValidator(_reason)]
#: A DNS name or the common name of a certificate.
CertificateName = Annotated[str, AfterValidator(_certificate_name)]
#: A user of Redis's ACL.
AclUser = Annotated[str, AfterValidator(_acl_user)]
