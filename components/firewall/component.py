"""A host's firewall as a resource."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pulumi

from components.errors import ConfigurationError
from components.firewall import rendering
from components.firewall.rendering import RULES, SCRIPT, UNIT, Rule
from components.firewall.settings import ANY, FirewallSettings, Flow, FlowProtocol
from components.host import Check, Directory, Family, File, Host, Role, RoleSpec, Unit, Validation
from components.inputs import combined

_ROLE: Final = "firewall"
_RUN: Final = "/run/sealed-data-tier-firewall"
_DROP_INS: Final = "/etc/systemd/system/nftables.service.d"
_PACKAGES: Final = {Family.DEBIAN: ("nftables", "iproute2"), Family.RHEL: ("nftables", "iproute")}
_CONFIRM: Final = f'exec {SCRIPT} confirm "$1"'
_FROM: Final = '"${SSH_CONNECTION%% *}"'  # asked for outside of sudo, which does not hand it on
_MARGIN_S: Final = 10  # for the host to put the former rules back after the time to confirm is over


@dataclass(frozen=True, kw_only=True)
class FirewallArgs:
    """What a firewall needs.

    Attributes:
        host: The host; one firewall a host.
        flows: Who needs which port. Those of all components on the host go into its one firewall.
        settings: How everybody else is treated; default: the declared ports are closed to them, silently.
    """

    host: Host
    flows: Sequence[Flow]
    settings: FirewallSettings = field(default_factory=FirewallSettings)

    def __post_init__(self) -> None:
        """Refuse what closes nothing, and what would close SSH.

        Raises:
            ConfigurationError: With the property path and the fix. A port that is an output is looked at when known.
        """
        if not self.settings.closes(self.flows):
            raise ConfigurationError("flows", list(self.flows), "guard closes nothing without a port: list a flow")
        for flow in self.flows:
            if isinstance(flow.port, int) and isinstance(self.host.args.port, int):
                self.refuse_ssh(flow, flow.port, self.host.args.port)

    def refuse_ssh(self, flow: Flow, port: int, dialled: int) -> None:
        """Refuse a flow that would close the port on which the host takes SSH.

        Args:
            flow: The flow.
            port: Its port.
            dialled: Port that the stack dials.

        Raises:
            ConfigurationError: If it would.
        """
        if flow.protocol is FlowProtocol.TCP and port in {dialled, self.settings.ssh_port}:
            fix = (
                f"it is where {self.host.host_name} takes SSH and is never closed: say port 'ssh', "
                "and limit it by sshSources in mode deny"
            )
            raise ConfigurationError(f"{flow.where}.port", port, fix)


class Firewall(pulumi.ComponentResource):
    """Who may reach which port of a host: one table of nftables, beside whatever else the host has there.

    New rules are loaded, and then confirmed by a new SSH connection; if that does not get in, the host puts the former
    rules back by itself, and the update fails.

    Attributes:
        role: Loads the rules.
        confirmation: Done when they hold for good; depend on it where something must not start before.
    """

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        host, settings = args.host, args.settings
        inputs = {
            "host": host.host_name,
            "settings": settings.model_dump(mode="json", by_alias=True, exclude_none=True),
            "flows": [flow.purpose for flow in args.flows],
        }
        super().__init__("sealed-data-tier:firewall:Firewall", name, inputs, opts)
        text = _text(args)
        self.role = Role(f"{name}-firewall", host, role_spec(host, settings, text), pulumi.ResourceOptions(parent=self))
        self.confirmation = host.command(
            "firewall-lets-ssh-in",
            f"{host.as_root(_CONFIRM)} firewall {_FROM}",
            stdin=host.with_sudo_password(
                combined("incarnation {}\n{}\n".format, host.args.incarnation, combined(rendering.fingerprint, text))
            ),
            parent=self,
            depends_on=[self.role.command],
            patience=settings.confirm_within + _MARGIN_S,
        )
        self.register_outputs({})


def _text(args: FirewallArgs) -> pulumi.Input[str]:
    """The rules, once every port and address is known."""
    flows = list(args.flows)

    def known(flow: Flow) -> pulumi.Input[Rule]:
        everybody = flow.sources == ANY

        def rule(port: float | str | None, dialled: float, *sources: str | Sequence[str]) -> Rule:
            number = None if port is None or isinstance(port, str) else flow.checked_port(port)
            if number is not None:
                args.refuse_ssh(flow, number, int(dialled))
            networks = None if everybody else tuple(flow.checked_sources(list(_flat(sources))))
            return Rule(number, flow.protocol, flow.purpose, networks)

        return combined(rule, flow.port, args.host.args.port, *(() if everybody else flow.sources))

    return combined(
        lambda dialled, *rules: rendering.rules(rules, args.settings, args.settings.ssh_port or int(dialled)),
        args.host.args.port,
        *map(known, flows),
    )


def _flat(sources: Sequence[str | Sequence[str]]) -> Iterator[str]:
    for source in sources:
        if isinstance(source, str):
            yield source
        else:
            yield from source


def role_spec(host: Host, settings: FirewallSettings, text: pulumi.Input[str]) -> RoleSpec:
    """Say what a firewall puts on its host.

    Args:
        host: The host.
        settings: How everybody else is treated.
        text: The rendered rules.
    """
    return RoleSpec(
        name=_ROLE,
        packages=_PACKAGES[host.args.family],
        directories=(Directory(path="/etc/sealed-data-tier"), Directory(path=_RUN), Directory(path=_DROP_INS)),
        files=(
            File(path=RULES, content=text),
            File(path=SCRIPT, content=rendering.script(), mode=0o755),
            File(path=f"/etc/systemd/system/{UNIT}", content=rendering.service_unit(settings)),
            File(path=f"{_DROP_INS}/sealed-data-tier.conf", content=rendering.nftables_drop_in()),
        ),
        units=(Unit(name=UNIT, reload_on=(RULES,)),),
        validations=(Validation(name="nft -c", command=f"nft -c -f @{{{RULES}}}"),),
        checks=(Check(name="the kernel has what was written", command=f"{SCRIPT} holds"),),
    )
