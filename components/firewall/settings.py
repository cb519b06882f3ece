"""Flows, and how a host treats whoever is in none of them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Literal

import pulumi
from pydantic import AfterValidator, Field, model_validator

from components.errors import ConfigurationError
from components.settings import Port, Problem, Settings, Some, refuse

_LAST_PORT: Final = 65535
_LONGEST_PURPOSE: Final = 120  # bytes; nft keeps 127 of a rule's comment

#: Everybody, over IPv4 and IPv6.
ANY: Final = "any"
#: Stands for the port on which the host takes SSH.
SSH: Final = "ssh"

Sources = Literal["any"] | Sequence[pulumi.Input[str] | pulumi.Input[Sequence[str]]]


class FlowProtocol(StrEnum):
    """What a flow is made of: connections or datagrams to a port, or packets of a protocol that has no ports."""

    TCP = "tcp"
    UDP = "udp"
    VRRP = "vrrp"

    @property
    def has_ports(self) -> bool:
        """Whether a flow names the port that is dialled."""
        return self is not FlowProtocol.VRRP


class Mode(StrEnum):
    """How much is closed."""

    GUARD = "guard"
    DENY = "deny"


class Refusal(StrEnum):
    """What happens to a packet that nobody declared."""

    DROP = "drop"
    REJECT = "reject"


def network(text: str) -> str:
    """Accept an IPv4 or IPv6 address or network, and return it as nft prints it.

    Raises:
        ValueError: With the value and what to write instead.
    """
    try:
        known = ipaddress.ip_network(text)
    except ValueError as error:
        fix = "give an IP address or a network such as '192.0.2.0/24'; a DNS name is no source address to a kernel"
        raise ValueError(f"{text!r} is no source ({error}): {fix}") from None
    if "%" in text:
        raise ValueError(f"{text!r} is no source: give the address without its zone")
    if isinstance(known, ipaddress.IPv6Network) and known.network_address.ipv4_mapped:
        raise ValueError(f"{text!r} is IPv4 written as IPv6, and no packet comes from there: give the IPv4 address")
    return str(known.network_address) if known.prefixlen == known.max_prefixlen else str(known)


def shortened(purpose: str) -> str:
    """Make a purpose of any one-line text: what nft cannot quote is replaced, what is too long is cut."""
    plain = purpose.replace('"', "'").replace("\\", "/")
    return plain.encode()[:_LONGEST_PURPOSE].decode(errors="ignore").strip()


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Somebody needs a port of a host, or a protocol without ports. Flows to the same port or protocol add up.

    Attributes:
        port: Port that is dialled; where Docker or Kubernetes translates ports, the one before the translation.
            `ssh` for the one on which the host takes SSH: it is never closed, but `sshSources` may leave it to a few.
            None, the default, with a protocol that has no ports.
        sources: Addresses and networks, IPv4 and IPv6, from which it is needed, or `any`. None at all closes the port
            to everybody but the host itself.
        purpose: What for, in one line of up to 120 bytes; stands beside the rule, in the file and in the kernel.
        protocol: `tcp` (default), `udp` or `vrrp` (IP protocol 112, RFC 9568), which has no ports.

    Raises:
        ConfigurationError: On a value that no rule can have, by its property path. Outputs are looked at when known.
    """

    port: pulumi.Input[int] | Literal["ssh"] | None = None
    sources: Sources
    purpose: str
    protocol: FlowProtocol = FlowProtocol.TCP

    def __post_init__(self) -> None:
        """Refuse what no rule can have."""
        text = self.purpose
        quotable = text.isprintable() and not set(text) & set('"\\')
        if not quotable or not 0 < len(text.strip().encode()) <= _LONGEST_PURPOSE:
            fix = f"say in one line of up to {_LONGEST_PURPOSE} bytes what it is for, without '\"' and '\\'"
            raise ConfigurationError("flow.purpose", text, fix)
        if self.protocol.has_ports and self.port is None:
            raise ConfigurationError(f"{self.where}.port", None, f"{self.protocol} has ports: give the one it is for")
        if not self.protocol.has_ports and self.port is not None:
            raise ConfigurationError(f"{self.where}.port", self.port, f"{self.protocol} has no ports: remove it")
        if isinstance(self.port, int):
            self.checked_port(self.port)
        elif isinstance(self.port, str) and self.port != SSH:
            raise ConfigurationError(f"{self.where}.port", self.port, "give a number from 1 to 65535, or 'ssh'")
        if self.port == SSH and self.protocol is not FlowProtocol.TCP:
            raise ConfigurationError(f"{self.where}.protocol", self.protocol.value, "SSH is tcp: remove it")
        if isinstance(self.sources, str):
            if self.sources != ANY:
                raise ConfigurationError(f"{self.where}.sources", self.sources, "give a list, or 'any'")
            return
        for source in self.sources:
            if isinstance(source, str):
                self.checked_sources([source])

    @property
    def where(self) -> str:
        """Where errors find it: flows of several components are merged, so a number would tell nothing."""
        return f"flow[{self.purpose}]"

    def checked_port(self, port: float) -> int:
        """Return a port that is known by now.

        Raises:
            ConfigurationError: If it is none.
        """
        if port != int(port) or not 1 <= port <= _LAST_PORT:
            raise ConfigurationError(f"{self.where}.port", port, "give a number from 1 to 65535")
        return int(port)

    def checked_sources(self, sources: Sequence[str]) -> list[str]:
        """Return sources that are known by now.

        Raises:
            ConfigurationError: If one is neither address nor network.
        """
        known = []
        for source in sources:
            try:
                known.append(network(source))
            except ValueError as error:
                raise ConfigurationError(f"{self.where}.sources", source, str(error)) from None
        return known


Network = Annotated[str, AfterValidator(network)]


class FirewallSettings(Settings):
    """How a host treats whoever is in no flow.

    Attributes:
        mode: `guard` (default): the declared ports are closed to all but their sources, everything else is untouched.
            `deny`: whatever is not declared is refused, but for SSH, ICMP, ICMPv6 and DHCPv6.
        refusal: `drop` (default): no answer. A port that is answered for tells a scanner that the host is there, and
            sends packets to whatever address was forged. `reject`: an error at once, which shows a mistake sooner.
        ssh_sources: Addresses and networks that may connect by SSH, in mode `deny`; default: all. It has to hold the
            deploying machine, or the bastion before the host.
        ssh_port: Port on which sshd itself listens; default: the one that the stack dials. Needed where a router
            translates it.
        confirm_within: Seconds that new rules have to prove that SSH still gets in, 15 to 600, default 60. Then the
            host puts the former rules back by itself.
    """

    mode: Mode = Mode.GUARD
    refusal: Refusal = Refusal.DROP
    ssh_sources: Some[Network] | None = None
    ssh_port: Port | None = None
    confirm_within: int = Field(default=60, ge=15, le=600)

    def closes(self, flows: Sequence[Flow]) -> bool:
        """Tell whether a firewall with these flows would close anything: guard leaves SSH, and what nobody declares."""
        return self.mode is Mode.DENY or any(flow.port != SSH for flow in flows)

    @model_validator(mode="after")
    def _fits_together(self) -> FirewallSettings:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[Problem]:
        if self.mode is Mode.GUARD and self.ssh_sources is not None:
            yield ("sshSources",), "guard closes no port of SSH to anybody: remove it, or set mode: deny"
