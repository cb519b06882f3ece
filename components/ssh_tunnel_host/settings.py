"""Settings of SSH tunnels, and what cannot work, told before any host is touched."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from components.host import Family
from components.host.settings import Account
from components.names import bracketed, is_address
from components.settings import HostName, Port, Problem, Settings, Some, refuse

_FIRST_UNPRIVILEGED: Final = 1024

# systemd.unit(5): what a unit name may hold without escapes; `@` at the end makes it a template.
_UNIT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*@?")
# systemd-escape would turn anything else into something that no sysadmin recognises.
_INSTANCE: Final = re.compile(r"[A-Za-z0-9_.:-]+")
_LONGEST_UNIT: Final = 255
_DELAY: Final = re.compile(r"[1-9]\d{0,3}ms|[1-5]s")


def _unprivileged(port: int) -> int:
    if port < _FIRST_UNPRIVILEGED:
        raise ValueError(f"{port} is a privileged port, and tunnels run without privileges: use 1024 to 65535")
    return port


def _loopback(address: str) -> str:
    if not is_address(address) or not ipaddress.ip_address(address).is_loopback:
        raise ValueError(f"{address!r} is no loopback address: use '127.0.0.1' or '::1'")
    return address


def _delay(time: str) -> str:
    if not _DELAY.fullmatch(time):
        raise ValueError(f"{time!r} is no short delay: give 1ms to 9999ms, or 1s to 5s")
    return time


def _unit_name(name: str) -> str:
    if not _UNIT.fullmatch(name) or name.endswith(".service"):
        raise ValueError(f"{name!r} is no unit name: give it without '.service'; end it with '@' for a template")
    return name


def _account(name: str) -> str:
    if name == "root":
        raise ValueError("'root' would be shut out of the far hosts: name an account that does nothing else")
    return name


#: A port that a process without capabilities can listen on.
LocalPort = Annotated[Port, AfterValidator(_unprivileged)]
UnitName = Annotated[str, AfterValidator(_unit_name)]
TunnelAccount = Annotated[Account, AfterValidator(_account)]


class Probe(StrEnum):
    """What is asked through a tunnel to see that it carries."""

    REDIS = "redis"
    TCP = "tcp"


class Target(StrEnum):
    """Which address of the far host a tunnel ends at."""

    LOOPBACK = "loopback"
    ADDRESS = "address"


class Timing(Settings):
    """How soon a dead or silent tunnel is noticed and replaced.

    The defaults notice a silent far side within `server_alive_interval × (server_alive_count_max + 1)` = 5 s.

    Attributes:
        server_alive_interval: Seconds of silence before the far side is asked, default 1 (ssh_config(5)).
        server_alive_count_max: Unanswered questions before the tunnel is ended, default 4.
        connect_timeout: Seconds for a new connection, default 3.
        probe_interval: Seconds between probes through the tunnel, default 5.
        restart_delay: systemd's RestartSec, default `500ms`.
    """

    server_alive_interval: int = Field(default=1, ge=1, le=60)
    server_alive_count_max: int = Field(default=4, ge=1, le=10)
    connect_timeout: int = Field(default=3, ge=1, le=60)
    probe_interval: int = Field(default=5, ge=1, le=300)
    restart_delay: Annotated[str, AfterValidator(_delay)] = "500ms"


class TunnelSettings(Settings):
    """One encrypted local port.

    Attributes:
        server: Host of the stack at the far end.
        local_port: Port that listens on this host's loopback.
        target_port: Port on the far host.
        target: `loopback` (default) or `address`, the far host's own address; an address must be firewalled there.
        name: Name of the far host in units and files; default its host name in the stack.
        local_address: Loopback address to listen on, default `127.0.0.1`; `::1` for IPv6.
    """

    server: str
    local_port: LocalPort
    target_port: Port
    target: Target = Target.LOOPBACK
    name: HostName | None = None
    local_address: Annotated[str, AfterValidator(_loopback)] = "127.0.0.1"

    @property
    def alias(self) -> str:
        """Instance name as in `cache-service-tunnel-k8s@worker1.example.com-30378`."""
        return f"{self.name or self.server}-{self.local_port}"

    @property
    def local_endpoint(self) -> str:
        """Address and port that clients on this host use."""
        return f"{bracketed(self.local_address)}:{self.local_port}"

    @model_validator(mode="after")
    def _alias_is_a_unit_instance(self) -> TunnelSettings:
        if not _INSTANCE.fullmatch(self.alias):
            text = f"{self.server!r} cannot stand in a unit's name: use letters, digits, '.', '-' and '_', or set name"
            refuse([(("server",), text)])
        return self


class ClientSettings(Settings):
    """The tunnels of one host.

    Attributes:
        host: Host of the stack on which the tunnels start.
        unit: systemd unit, without `.service`; a template (`…@`) has an instance a tunnel.
        tunnels: The tunnels; exactly one where `unit` is no template.
    """

    host: str
    unit: UnitName
    tunnels: Some[TunnelSettings]

    def unit_of(self, tunnel: TunnelSettings) -> str:
        """Name of the unit that runs a tunnel."""
        return f"{self.unit}{tunnel.alias}.service" if self.unit.endswith("@") else f"{self.unit}.service"

    @model_validator(mode="after")
    def _tunnels_fit(self) -> ClientSettings:
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[Problem]:
        if len(self.tunnels) > 1 and not self.unit.endswith("@"):
            yield ("unit",), f"{self.unit!r} can run one tunnel: end it with '@' to have an instance a tunnel"
        ports = [(tunnel.local_address, tunnel.local_port) for tunnel in self.tunnels]
        aliases = [tunnel.alias for tunnel in self.tunnels]
        for number, tunnel in enumerate(self.tunnels):
            here = ("tunnels", number)
            if tunnel.server == self.host:
                yield (*here, "server"), f"{self.host!r} is both ends: a tunnel leads to another host"
            if (first := ports.index(ports[number])) != number:
                text = f"{tunnel.local_port} is taken by tunnels[{first}].localPort: give each its own"
                yield (*here, "localPort"), text
            elif (first := aliases.index(tunnel.alias)) != number:
                text = f"{tunnel.alias!r} names tunnels[{first}] too: give one of them another name or port"
                yield (*here, "name"), text
            elif len(unit := self.unit_of(tunnel)) > _LONGEST_UNIT:
                text = f"{unit!r} is longer than {_LONGEST_UNIT} characters, systemd's limit: shorten the tunnel's name"
                yield ("unit",), text


class SshTunnelSettings(Settings):
    """A set of tunnels that share an account and a generation of keys.

    Attributes:
        clients: Hosts on which tunnels start.
        user: System account on both ends, without shell or password; default `cache-service-tunnel`.
        key_generation: Raise it to rotate every key: new ones are known to the far side before the old ones go.
        probe: What is asked through each tunnel, default `redis`.
        timing: How soon a dead tunnel is replaced.
    """

    clients: Some[ClientSettings]
    user: TunnelAccount = "cache-service-tunnel"
    key_generation: int = Field(default=1, ge=1)
    probe: Probe = Probe.REDIS
    timing: Timing = Timing()

    @model_validator(mode="after")
    def _one_entry_a_host(self) -> SshTunnelSettings:
        hosts = [client.host for client in self.clients]
        text = "is listed twice: put all its tunnels into one entry"
        refuse(
            (("clients", number, "host"), f"{host!r} {text}")
            for number, host in enumerate(hosts)
            if hosts.index(host) != number
        )
        return self


#: Where each family differs; ss, which tells who holds a port, is in iproute.
SSHD_UNIT: Final = {Family.DEBIAN: "ssh.service", Family.RHEL: "sshd.service"}
SSH_PACKAGES: Final = {Family.DEBIAN: ("openssh-client", "iproute2"), Family.RHEL: ("openssh-clients", "iproute")}
SSHD_PACKAGES: Final = {Family.DEBIAN: ("openssh-server",), Family.RHEL: ("openssh-server",)}
