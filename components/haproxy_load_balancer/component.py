"""HAProxy on a host as a resource."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pulumi

from components.errors import ConfigurationError
from components.firewall import Flow
from components.firewall.settings import ANY, shortened
from components.haproxy_load_balancer import inspection, rendering
from components.haproxy_load_balancer.rendering import (
    CHECK_AUTHORITY,
    CHECK_CERTIFICATE,
    CONFIGURATION,
    ENVIRONMENT,
    PEER_AUTHORITY,
    PEER_CERTIFICATE,
)
from components.haproxy_load_balancer.settings import HaproxySettings
from components.host import Check, Directory, Family, File, Host, Role, RoleSpec, Unit, Validation
from components.inputs import combined

_ROLE: Final = "haproxy"
_UNIT: Final = "haproxy.service"
_DROP_INS: Final = f"/etc/systemd/system/{_UNIT}.d"
_DROP_IN: Final = f"{_DROP_INS}/sealed-data-tier.conf"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Where the families differ.

    Attributes:
        packages: HAProxy; socat and ss, with which its sockets are looked at.
        stats_socket: Where the distribution has the runtime API's socket.
        selinux_booleans: What SELinux has to allow: HAProxy's own policy knows a few ports only.
    """

    packages: tuple[str, ...]
    stats_socket: str
    selinux_booleans: tuple[str, ...] = ()


PROFILES: Final = {
    Family.DEBIAN: Profile(packages=("haproxy", "socat", "iproute2"), stats_socket="/run/haproxy/admin.sock"),
    Family.RHEL: Profile(
        packages=("haproxy", "socat", "iproute"),
        stats_socket="/var/lib/haproxy/stats",
        selinux_booleans=("haproxy_connect_any",),
    ),
}


@dataclass(frozen=True, kw_only=True)
class HaproxyLoadBalancerArgs:
    """What a load balancer needs.

    Attributes:
        host: The host that it runs on; one load balancer a host.
        settings: Frontends, backends and what belongs to them.
        passwords: Values by the variable that a health check names (secret).
        local_peer: Name of this load balancer among its peers; default: its host's name in the stack.
        peer_certificate: Certificate chain and private key in PEM, for server and client use (secret); where `peers`
            have TLS.
        peer_authority: Certificates of the authority that the peers trust, in PEM.
        check_certificate: Certificate chain and private key in PEM, for client use (secret); where checks have TLS.
        check_authority: Certificates of the authorities that checks trust, in PEM.
    """

    host: Host
    settings: HaproxySettings
    passwords: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    local_peer: str | None = None
    peer_certificate: pulumi.Input[str] | None = None
    peer_authority: pulumi.Input[str] | None = None
    check_certificate: pulumi.Input[str] | None = None
    check_authority: pulumi.Input[str] | None = None

    def __post_init__(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ConfigurationError: With the property path and the fix.
        """
        for number, backend in enumerate(self.settings.backends):
            variable = backend.health_check.password
            if variable is not None and variable not in self.passwords:
                path = f"backends[{number}].healthCheck.password"
                raise ConfigurationError(path, variable, f"give its value as passwords[{variable!r}]")
        for variable in self.passwords:
            if variable not in self.settings.passwords:
                raise ConfigurationError("passwords", variable, "no health check asks for it: remove it")
        for number in self.settings.checked_by_tls:
            if self.check_certificate is None or self.check_authority is None:
                path = f"backends[{number}].healthCheck.tls"
                raise ConfigurationError(path, True, "give checkCertificate and checkAuthority")
        peers = self.settings.peers
        if peers is None:
            return
        names = [member.name for member in peers.members]
        if self.peer_name not in names:
            fix = f"this load balancer is none of {', '.join(names)}: set localPeer to one of them"
            raise ConfigurationError("localPeer", self.peer_name, fix)
        if peers.tls and (self.peer_certificate is None or self.peer_authority is None):
            raise ConfigurationError("peers.tls", True, "give peerCertificate and peerAuthority")

    @property
    def peer_name(self) -> str:
        """`local_peer` with its default."""
        return self.local_peer or self.host.host_name

    @property
    def flows(self) -> tuple[Flow, ...]:
        """Ports that others need: exposed binds, for whom they say, and that of the peers, for the peers."""
        binds = (bind for frontend in self.settings.frontends for bind in frontend.binds if not bind.loopback)
        exposed = [
            Flow(
                port=bind.port,
                sources=ANY if bind.sources is None else bind.sources,
                purpose=shortened(f"HAProxy: {bind.exposed_because}"),
            )
            for bind in binds
        ]
        members = self.settings.peers.members if self.settings.peers else ()
        peers = [
            Flow(
                port=member.port,
                sources=[other.address for other in members if other != member],
                purpose="HAProxy peers",
            )
            for member in members
            if member.name == self.peer_name and not ipaddress.ip_address(member.address).is_loopback
        ]
        return (*exposed, *peers)


class HaproxyLoadBalancer(pulumi.ComponentResource):
    """TCP load balancing by HAProxy on one host, on loopback unless a bind says otherwise.

    A change reloads HAProxy and cuts no connection; one that HAProxy refuses changes nothing.

    Attributes:
        endpoints: `address:port` of every bind by frontend.
        stats_socket: Path of the runtime API's socket, for root on the host.
        flows: Ports that others need, for the host's firewall.
    """

    endpoints: dict[str, list[str]]
    stats_socket: str
    flows: tuple[Flow, ...]

    def __init__(self, name: str, args: HaproxyLoadBalancerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = args.settings
        inputs = {
            "host": args.host.host_name,
            "settings": settings.model_dump(mode="json", by_alias=True, exclude_none=True),
            "passwords": sorted(args.passwords),
        }
        super().__init__("sealed-data-tier:haproxy_load_balancer:HaproxyLoadBalancer", name, inputs, opts)
        profile = PROFILES[args.host.args.family]
        text = rendering.configuration(settings, stats_socket=profile.stats_socket, local_peer=args.peer_name)
        spec = role_spec(
            settings,
            profile,
            local_peer=args.peer_name,
            text=text,
            environment=_environment(text, args),
            peer_certificate=args.peer_certificate,
            peer_authority=args.peer_authority,
            check_certificate=args.check_certificate,
            check_authority=args.check_authority,
        )
        self.stats_socket, self.flows = profile.stats_socket, args.flows
        self.endpoints = {frontend.name: [bind.endpoint for bind in frontend.binds] for frontend in settings.frontends}
        self.role = Role(f"{name}-haproxy", args.host, spec, pulumi.ResourceOptions(parent=self))
        self.register_outputs({"endpoints": self.endpoints, "statsSocket": self.stats_socket})


def _environment(text: str, args: HaproxyLoadBalancerArgs) -> pulumi.Input[str]:
    variables = sorted(args.passwords)

    certificates = (args.peer_certificate, args.peer_authority, args.check_certificate, args.check_authority)

    def render(*known: str | None) -> str:
        parts = [each or "" for each in known]
        values = parts[len(certificates) :]
        return rendering.environment(
            dict(zip(variables, values, strict=True)), fingerprint=rendering.fingerprint(text, *parts)
        )

    return combined(render, *certificates, *(args.passwords[variable] for variable in variables))


def role_spec(
    settings: HaproxySettings,
    profile: Profile,
    *,
    local_peer: str,
    text: str,
    environment: pulumi.Input[str],
    peer_certificate: pulumi.Input[str] | None = None,
    peer_authority: pulumi.Input[str] | None = None,
    check_certificate: pulumi.Input[str] | None = None,
    check_authority: pulumi.Input[str] | None = None,
) -> RoleSpec:
    """Say what a load balancer puts on its host.

    Args:
        settings: What HAProxy is told.
        profile: What the host's family calls things.
        local_peer: Name of this load balancer among its peers.
        text: The rendered haproxy.cfg.
        environment: The rendered environment.cfg (secret).
        peer_certificate: See `HaproxyLoadBalancerArgs`.
        peer_authority: See `HaproxyLoadBalancerArgs`.
        check_certificate: See `HaproxyLoadBalancerArgs`.
        check_authority: See `HaproxyLoadBalancerArgs`.
    """
    files = [
        File(path=CONFIGURATION, content=text),
        File(path=ENVIRONMENT, content=environment, mode=0o600, secret=True),
        File(path=_DROP_IN, content=rendering.service_drop_in()),
    ]
    if settings.peers and settings.peers.tls and peer_certificate is not None and peer_authority is not None:
        files.append(File(path=PEER_CERTIFICATE, content=peer_certificate, mode=0o600, secret=True))
        files.append(File(path=PEER_AUTHORITY, content=peer_authority))
    if settings.checked_by_tls and check_certificate is not None and check_authority is not None:
        files.append(File(path=CHECK_CERTIFICATE, content=check_certificate, mode=0o600, secret=True))
        files.append(File(path=CHECK_AUTHORITY, content=check_authority))
    paths = [file.path for file in files]
    listeners = settings.listeners(local_peer)
    return RoleSpec(
        name=_ROLE,
        packages=profile.packages,
        directories=(Directory(path=_DROP_INS),),
        files=tuple(files),
        units=(
            Unit(
                name=_UNIT,
                reload_on=tuple(path for path in paths if path != _DROP_IN),
                restart_on=(_DROP_IN,),
            ),
        ),
        validations=(
            Validation(name="haproxy -c", command=inspection.accepted(paths)),
            Validation(name="addresses and ports", command=inspection.can_bind(listeners)),
        ),
        checks=(
            Check(name="runs what was written", command=inspection.runs_this(profile.stats_socket)),
            *(Check(name=f"listens on {each.endpoint}", command=inspection.listens(each)) for each in listeners),
        ),
        selinux_booleans=profile.selinux_booleans,
    )
