"""Hosts as the stack's configuration names them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr, model_validator

from components.names import account_name
from components.settings import HostName, Port, Settings

_KEY_TYPE: Final = "ssh-ed25519"
_KEY_BYTES: Final = 51  # two length-prefixed strings: the type's 11 bytes and the key's 32


class Family(StrEnum):
    """Families of Linux distributions that roles are rendered for."""

    DEBIAN = "debian"
    RHEL = "rhel"


def pinned_key(line: str) -> str:
    """Accept an ed25519 public key and return it without its comment.

    Only ed25519: with several key types the server chooses which one it shows, and a pin of another type fails.

    Raises:
        ValueError: Saying where the right line comes from.
    """
    fields = line.split()
    try:
        blob = base64.b64decode(fields[1], validate=True) if len(fields) > 1 and fields[0] == _KEY_TYPE else b""
    except binascii.Error:
        blob = b""
    if len(blob) != _KEY_BYTES:
        shown = f"{line[:24]}…" if len(line) > 24 else line  # noqa: PLR2004 - as much as tells the type
        raise ValueError(f"{shown!r} is no ed25519 host key: paste the line that `make host-keys HOSTS=…` prints")
    return f"{fields[0]} {fields[1]}"


def fingerprint(key: str) -> str:
    """Return a public key's SHA-256 fingerprint as OpenSSH prints it."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no address or network: {error}") from None
    return text


HostKey = Annotated[str, AfterValidator(pinned_key)]
Account = Annotated[str, AfterValidator(account_name)]


class BastionSettings(Settings):
    """The one hop that stands before a host.

    Attributes:
        address: DNS name or IP address.
        user: Account on the bastion.
        host_key: Its pinned ed25519 host key.
        port: SSH port, default 22.
        private_key: Key for the bastion (secret); without it, the running SSH agent's keys.
    """

    address: HostName
    user: Account
    host_key: HostKey
    port: Port = 22
    private_key: SecretStr | None = None


class HostSettings(Settings):
    """A host that exists.

    Attributes:
        address: DNS name or IP address that the deploying machine dials.
        user: Account to log in with. Anyone but root uses sudo.
        host_key: Pinned ed25519 host key, `ssh-ed25519 AAAA…`. No key, no connection.
        port: SSH port, default 22.
        private_key: OpenSSH private key (secret); without it, the running SSH agent's keys.
        sudo_password: The account's password for sudo (secret); without it, sudo must not ask for one.
        bastion: One hop before the host.
        family: `debian` (default; Ubuntu too) or `rhel` (RHEL, CentOS Stream, Rocky, Alma, Fedora).
        internal_address: Address that the other hosts dial; default `address`.
        source_addresses: IP addresses or networks (CIDR) that other hosts see it come from; default the address they
            dial. Needed where that is a DNS name and tunnels start on this host.
        incarnation: Raise it after the host was reinstalled under the same host key: every role is applied again.
    """

    address: HostName
    user: Account
    host_key: HostKey
    port: Port = 22
    private_key: SecretStr | None = None
    sudo_password: SecretStr | None = None
    bastion: BastionSettings | None = None
    family: Family = Family.DEBIAN
    internal_address: HostName | None = None
    source_addresses: tuple[Annotated[str, AfterValidator(_network)], ...] = ()
    incarnation: str = Field(default="", pattern=r"^[\w.-]*$")

    @model_validator(mode="after")
    def _sudo_is_used(self) -> HostSettings:
        if self.user == "root" and self.sudo_password is not None:
            raise ValueError("user 'root' does not use sudo: remove sudoPassword, or name another user")
        return self
