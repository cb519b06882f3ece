"""Settings of virtual IPs under keepalived, and what cannot work, told before any host is touched."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from components.names import account_name
from components.settings import HostName, Port, Problem, Settings, Some, refuse

#: Account of track scripts and hooks that name none; keepalived's own name for it (keepalived.conf(5), SCRIPTS).
SCRIPT_USER: Final = "keepalived_script"

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,30}")
_INTERFACE: Final = re.compile(r"[A-Za-z0-9_.-]{1,15}")  # the kernel's IFNAMSIZ, less its last byte
# What neither keepalived's parser ($, ~, @, #, !, quotes) nor a shell gives a meaning in the middle of a word.
_WORD: Final = re.compile(r"[A-Za-z0-9_./:=,%+?&\[\]-][A-Za-z0-9_./:=,%+?&@\[\]-]*")
_MAIL: Final = re.compile(r"[A-Za-z0-9_.+-]+@[A-Za-z0-9.-]+")
_FEWEST_NODES: Final = 2
_FIRST_PRIORITY: Final = 100
_ROUNDING: Final = 1e-6
_SMALL_PREFIX: Final = {4: 31, 6: 127}  # from here on a network has no address of its own
_LIMIT_OF_INTERVAL: Final = 0.8

Vip = IPv4Interface | IPv6Interface
Address = IPv4Address | IPv6Address


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no name: use a letter, then up to 30 letters, digits, '_' and '-'")
    return text


def _interface(text: str) -> str:
    if not _INTERFACE.fullmatch(text) or text in (".", ".."):
        raise ValueError(f"{text!r} is no network interface: give a name such as 'eth0', up to 15 characters")
    return text


def _vip(text: object) -> Vip:
    if not isinstance(text, str) or "/" not in text:
        raise ValueError(f"{text!r} has no prefix length: write it as `ip address` does, such as '192.0.2.10/24'")
    try:
        vip = ipaddress.ip_interface(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no address: {error}; write one such as '192.0.2.10/24'") from None
    address = vip.ip
    if address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local:
        raise ValueError(f"{text!r} cannot move between hosts: give a unicast address of their network")
    if isinstance(vip, IPv6Interface) and vip.ip.ipv4_mapped:
        raise ValueError(f"{text!r} is IPv4 written as IPv6: give the IPv4 address")
    if vip.network.prefixlen < _SMALL_PREFIX[vip.version]:
        if address == vip.network.network_address:
            raise ValueError(f"{text!r} is the network itself: give an address in it")
        if isinstance(vip, IPv4Interface) and address == vip.network.broadcast_address:
            raise ValueError(f"{text!r} is the network's broadcast address: give another one")
    return vip


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        fix = "use letters, digits and '_./:=,%+?&@[]-'; put anything else into a script of its own"
        raise ValueError(f"{text!r} cannot be a word of a command: {fix}")
    return text


def _command(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words[0].startswith("/"):
        raise ValueError(f"{words[0]!r} is no program: give its absolute path")
    return words


def _script_user(name: str) -> str:
    if account_name(name) == "root":
        raise ValueError("'root' is too much for a script: name another account, and let it use sudo where it must")
    return name


def _centiseconds(value: float) -> float:
    if abs(value * 100 - round(value * 100)) > _ROUNDING:
        raise ValueError(f"{value} is no multiple of 0.01, in which VRRPv3 counts: round it")
    return value


def _milliseconds(value: float) -> float:
    if abs(value * 1000 - round(value * 1000)) > _ROUNDING:
        raise ValueError(f"{value} is no multiple of 0.001, in which keepalived counts: round it")
    return value


def _mail_address(text: str) -> str:
    if not _MAIL.fullmatch(text):
        raise ValueError(f"{text!r} is no mail address: write it as 'ops@example.com', without a display name")
    return text


Name = Annotated[str, AfterValidator(_name)]
Interface = Annotated[str, AfterValidator(_interface)]
Command = Annotated[Some[Annotated[str, AfterValidator(_word)]], AfterValidator(_command)]
ScriptUser = Annotated[str, AfterValidator(_script_user)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
VirtualAddress = Annotated[Vip, BeforeValidator(_vip)]
RouterId = Annotated[int, Field(ge=1, le=255)]
Seconds = Annotated[float, Field(ge=0.05, le=3600), AfterValidator(_milliseconds)]


class VrrpNode(Settings):
    """A host that may hold the addresses.

    Attributes:
        host: Host of the stack.
        address: IPv4 or IPv6 address from which it speaks VRRP to the others; default the host's internal address.
        interface: Network interface that gets the addresses; default the group's.
    """

    host: str
    address: Address | None = None
    interface: Interface | None = None


class TrackScript(Settings):
    """A health check: a host on which it fails does not hold the addresses (keepalived.conf(5), vrrp_script).

    `fall` times `interval` has to be longer than the service takes to restart where a mere restart should not move the
    addresses.

    Attributes:
        name: Its name in keepalived's log.
        command: Program, by its absolute path, and arguments; exit code 0 means healthy. No shell is between.
        user: Account that it runs as, default `keepalived_script`, which the component makes; never root.
        interval: Seconds from one run to the next, default 0.25.
        timeout: Seconds after which a run is killed and has failed, default four fifths of `interval`: one that hangs
            is over before the next one is due, which would else be left out.
        fall: Failures in a row that count, default 2.
        rise: Successes in a row that count, default 2.
        weight: What a failure (negative) or a success (positive) does to the priority, -253 to 253; default 0: a host
            on which it fails gives the addresses up at once.
    """

    name: Name
    command: Command
    user: ScriptUser = SCRIPT_USER
    interval: Seconds = 0.25
    timeout: Seconds | None = None
    fall: int = Field(default=2, ge=1, le=100)
    rise: int = Field(default=2, ge=1, le=100)
    weight: int = Field(default=0, ge=-253, le=253)

    @property
    def limit(self) -> float:
        """`timeout` with its default."""
        return round(self.interval * _LIMIT_OF_INTERVAL, 3) if self.timeout is None else self.timeout


class VrrpInstance(Settings):
    """Addresses that move together (keepalived.conf(5), vrrp_instance).

    The backup takes over when it has heard nothing for `advert_interval` times `lost_adverts`.

    Attributes:
        name: Its name in logs, mails and hooks.
        router_id: 1 to 255, unlike that of every other one on the segment.
        addresses: Virtual IPs, IPv4 and IPv6, each with the prefix length of the network that it belongs to.
        priorities: Priority by host, 1 to 254, all different; default 100 for the last node and one more for each
            before it: 101 and 100.
        preempt: Whether the host with the highest priority takes the addresses back as soon as it is well. Default
            false: they stay where they are, and move only when they have to.
        advert_interval: Seconds between adverts, 0.01 to 40.95 in steps of 0.01; default 0.1.
        lost_adverts: Adverts that have to be missing before the backup takes over, 2 to 100; default 6.
        track_scripts: Health checks of what serves behind the addresses.
        follows_leader: Whether the checks ask for a leader, of which there is one: on every other host they fail all
            the time, and `make verify` takes that for well. Default false.
    """

    name: Name
    router_id: RouterId
    addresses: Some[VirtualAddress]
    priorities: Mapping[str, Annotated[int, Field(ge=1, le=254)]] = {}
    preempt: bool = False
    advert_interval: Annotated[float, Field(ge=0.01, le=40.95), AfterValidator(_centiseconds)] = 0.1
    lost_adverts: int = Field(default=6, ge=2, le=100)
    track_scripts: tuple[TrackScript, ...] = ()
    follows_leader: bool = False


class NotifyHook(Settings):
    """A command that is told of every change, in their order (keepalived.conf(5), notify_fifo).

    It is called with four more arguments: `INSTANCE`, the instance's name, `MASTER`, `BACKUP`, `FAULT` or `STOP`, and
    the priority.

    Attributes:
        command: Program, by its absolute path, and arguments.
        user: Account that it runs as, default `keepalived_script`; never root.
        timeout: Seconds after which a call is killed, so that the next one can begin; default 30.
    """

    command: Command
    user: ScriptUser = SCRIPT_USER
    timeout: int = Field(default=30, ge=1, le=3600)


class FailoverMail(Settings):
    """Mail on every change. keepalived speaks plain SMTP: let a relay on the host itself take it from there.

    Attributes:
        sender: Address that it comes from.
        recipients: Addresses that it goes to.
        server: Name or address of the SMTP server, default `127.0.0.1`.
        port: Its port, default 25.
        connect_timeout: Seconds for a connection, default 5.
    """

    sender: MailAddress
    recipients: Some[MailAddress]
    server: HostName = "127.0.0.1"
    port: Port = 25
    connect_timeout: int = Field(default=5, ge=1, le=60)


class KeepalivedVipSettings(Settings):
    """Virtual IPs on two or more hosts.

    Attributes:
        nodes: The hosts; the first one is the first to hold the addresses.
        interface: Network interface that gets them, for example `eth0`.
        instances: Addresses that move together, one entry for each such set.
        hook: A command that is told of every change; default none.
        mail: Mail on every change; default none.
        garp_refresh: Seconds after which the holder tells the segment again where the addresses are (gratuitous ARP,
            unsolicited neighbour advertisements), 1 to 86400; default 10.
        nonlocal_bind: Whether any program of these hosts may listen on an address that the host does not hold at the
            moment, default false. HAProxy needs no such permission: say `transparent: true` in its bind.
        realtime_priority: Real-time priority of the process that speaks VRRP, 1 to 99, so that a busy host does not
            miss adverts; default 50, null for none. Where the kernel refuses, keepalived logs it and goes on.
    """

    nodes: tuple[VrrpNode, ...]
    interface: Interface
    instances: Some[VrrpInstance]
    hook: NotifyHook | None = None
    mail: FailoverMail | None = None
    garp_refresh: int = Field(default=10, ge=1, le=86_400)
    nonlocal_bind: bool = False
    realtime_priority: int | None = Field(default=50, ge=1, le=99)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts in the order in which they have their turn."""
        return tuple(node.host for node in self.nodes)

    @property
    def track_scripts(self) -> tuple[TrackScript, ...]:
        """Health checks of all instances."""
        return tuple(script for instance in self.instances for script in instance.track_scripts)

    def interface_of(self, host: str) -> str:
        """Return the interface that gets the addresses on a host."""
        return next((node.interface for node in self.nodes if node.host == host), None) or self.interface

    def priorities(self, instance: VrrpInstance) -> Mapping[str, int]:
        """Return an instance's `priorities` with their default."""
        last = len(self.nodes) - 1
        return instance.priorities or {host: _FIRST_PRIORITY + last - at for at, host in enumerate(self.hosts)}

    @model_validator(mode="after")
    def _fits_together(self) -> KeepalivedVipSettings:
        refuse([*self._nodes(), *self._instances(), *self._scripts()])
        given = {node.host: node.address for node in self.nodes if node.address}
        refuse(self.address_problems(given))
        return self

    def _nodes(self) -> Iterator[Problem]:
        if len(self.nodes) < _FEWEST_NODES:
            yield ("nodes",), f"{len(self.nodes)} given: an address can only move between two or more: list them"
        for at, host in enumerate(self.hosts):
            if host in self.hosts[:at]:
                yield ("nodes", at, "host"), f"{host!r} is listed twice: remove one"

    def _instances(self) -> Iterator[Problem]:
        vips: dict[Address, str] = {}
        for at, instance in enumerate(self.instances):
            for key, known in (("name", "name"), ("router_id", "routerId")):
                value = getattr(instance, key)
                if first := next((each for each in self.instances[:at] if getattr(each, key) == value), None):
                    text = f"{value!r} is that of instance {first.name!r} on the same segment: give each its own"
                    yield ("instances", at, known), text
            for number, vip in enumerate(instance.addresses):
                if vip.ip in vips:
                    text = f"'{vip.ip}' is an address of instance {vips[vip.ip]!r} already: remove one"
                    yield ("instances", at, "addresses", number), text
                vips.setdefault(vip.ip, instance.name)
            yield from ((("instances", at, *where), text) for where, text in self._priorities(instance))

    def _priorities(self, instance: VrrpInstance) -> Iterator[Problem]:
        given = instance.priorities
        for host in given:
            if host not in self.hosts:
                yield ("priorities", host), f"{host!r} is none of the nodes {', '.join(self.hosts)}: correct it"
        if given and (missing := [host for host in self.hosts if host not in given]):
            yield ("priorities",), f"{', '.join(missing)} has none: give each node a priority, or none at all"
        ordered = list(given.items())
        for at, (host, priority) in enumerate(ordered):
            if same := next((other for other, value in ordered[:at] if value == priority), None):
                text = f"{priority} is that of {same!r} too, and neither would yield to the other: give each its own"
                yield ("priorities", host), text
        if not self.nodes or (given and set(given) != set(self.hosts)):
            return
        known = self.priorities(instance).values()
        gap = max(known) - min(known)
        for at, script in enumerate(instance.track_scripts):
            where = ("trackScripts", at, "weight")
            if script.weight and not instance.preempt:
                text = "moves nothing without preempt, since a holder is left alone: remove it, or set preempt: true"
                yield where, f"{script.weight} {text}"
            elif script.weight and abs(script.weight) <= gap:
                text = f"does not outweigh {gap}, the gap between the priorities: use more, or 0"
                yield where, f"{script.weight} {text}"

    def _scripts(self) -> Iterator[Problem]:
        names: list[str] = []
        for at, instance in enumerate(self.instances):
            for number, script in enumerate(instance.track_scripts):
                where = ("instances", at, "trackScripts", number)
                if script.name in names:
                    yield (*where, "name"), f"{script.name!r} is the name of another one: give each its own"
                if script.limit > script.interval * script.fall:
                    text = (
                        f"{script.limit:g} is longer than fall times interval: a hang would be noticed late; use less"
                    )
                    yield (*where, "timeout"), text
                names.append(script.name)

    def address_problems(self, addresses: Mapping[str, Address]) -> Iterator[Problem]:
        """Say what is wrong with the nodes' addresses, as far as they are known.

        Args:
            addresses: Address by host.
        """
        vips = {vip.ip: instance.name for instance in self.instances for vip in instance.addresses}
        seen: dict[Address, str] = {}
        for at, node in enumerate(self.nodes):
            if (address := addresses.get(node.host)) is None:
                continue
            where = ("nodes", at, "address")
            if address in vips:
                yield where, f"'{address}' is a virtual IP of {vips[address]!r}: give the host's own address"
            if address in seen:
                yield where, f"'{address}' is the address of {seen[address]!r} too: give each node its own"
            if other := next((each for each in seen if each.version != address.version), None):
                yield where, f"'{address}' is not of the family of '{other}': nodes speak VRRP in one of them, choose"
            seen.setdefault(address, node.host)
        yield from self._networks(list(seen))

    def _networks(self, addresses: list[Address]) -> Iterator[Problem]:
        families = {address.version for address in addresses}
        for at, instance in enumerate(self.instances):
            if families and not any(vip.version in families for vip in instance.addresses):
                text = (
                    f"none is of IPv{min(families)}, in which the nodes speak VRRP: add one, or change nodes[].address"
                )
                yield ("instances", at, "addresses"), text
            for number, vip in enumerate(instance.addresses):
                own = [address for address in addresses if address.version == vip.version]
                if outside := [str(address) for address in own if address not in vip.network]:
                    text = f"'{vip}' is not in the network of {', '.join(outside)}: correct the address or its prefix"
                    yield ("instances", at, "addresses", number), text
