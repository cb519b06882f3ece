"""What the policies' tests share: resources as the engine hands them out, and files that break no rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pulumi_policy import PolicyCustomTimeouts, PolicyResourceOptions, ResourceValidationArgs, ResourceValidationPolicy
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from policies.pack import NOTES, policies
from policies.rules import Finding, HostFiles, check_files

UNKNOWN: Final = UNKNOWN_STRING_VALUE
ROLE: Final = "sealed-data-tier:host:Role"
REMOTE: Final = "command:remote:Command"
LOCAL: Final = "command:local:Command"
HOST_KEY: Final = f"ssh-ed25519 {'A' * 68}"


def options() -> PolicyResourceOptions:
    """A resource's options, of which rules read none."""
    return PolicyResourceOptions(False, [], None, [], PolicyCustomTimeouts(0, 0, 0), [])


@dataclass
class Outcome:
    """What the pack said of one resource: policy and message of each violation, and the notes."""

    violations: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def rules(self) -> set[str]:
        """Identifiers of the violated rules."""
        return {message.rpartition("[")[2].partition("]")[0] for _, message in self.violations}


def validate(
    kind: str,
    props: Mapping[str, Any],
    *,
    name: str = "lb1-role",
    config: Mapping[str, Any] | None = None,
    above: str = "",
) -> Outcome:
    """Ask every policy about one resource, as the SDK does.

    Args:
        kind: Type of the resource.
        props: Its inputs; `UNKNOWN` stands for a value that is not known yet.
        name: Its name.
        config: Configuration by policy.
        above: Type of the component that holds it.
    """
    types = f"{above}${kind}" if above else kind
    outcome = Outcome()
    for policy in policies():
        if not isinstance(policy, ResourceValidationPolicy):
            continue
        args = ResourceValidationArgs(
            kind,
            unknown_checking_proxy(dict(props)),
            f"urn:pulumi:test::scratch::{types}::{name}",
            name,
            options(),
            None,
            (config or {}).get(policy.name),
        )

        def report(message: str, urn: str | None = None, *, of: str = policy.name) -> None:
            if of == NOTES:
                outcome.notes.append(message)
            else:
                outcome.violations.append((of, message))

        policy.validate(args, report)
    return outcome


def role(files: Mapping[str, Any], **inputs: Any) -> Outcome:
    """Ask about a role with some files."""
    return validate(ROLE, {"host": "lb1", "role": "role", "files": dict(files), **inputs})


def remote(**inputs: Any) -> Outcome:
    """Ask about a remote command that breaks no rule but for what is given."""
    return validate(REMOTE, {**COMMAND, **inputs})


def found(path: str, text: str, **others: str) -> list[Finding]:
    """Apply all rules to one file and perhaps others, given as `path=text`."""
    return check_files(HostFiles(texts={path: text, **others}))


def rules(findings: list[Finding]) -> set[str]:
    """Identifiers of the rules that were broken."""
    return {finding.rule for finding in findings if not finding.note}


COMMAND: Final[Mapping[str, Any]] = {
    "connection": {
        "host": "192.0.2.1",
        "user": "ops",
        "port": 22.0,
        "hostKey": HOST_KEY,
        "privateKey": "not a real one",
    },
    "create": "sudo -n -- timeout -k 10 1500 /usr/local/lib/sealed-data-tier/runtime apply haproxy",
    "addPreviousOutputInEnv": False,
    "logging": "none",
}

HAPROXY: Final = "/etc/haproxy/haproxy.cfg"
REDIS: Final = "/etc/valkey/valkey.conf"
SSH: Final = "/etc/ssh/sealed-data-tier/tunnel/lb1.conf"
SSHD: Final = "/etc/ssh/sshd_config.d/50-tunnel.conf"
KEYS: Final = "/etc/ssh/sealed-data-tier/tunnel/generation-1.keys"
PINS: Final = "/etc/ssh/sealed-data-tier/tunnel/known_hosts"
UNIT: Final = "/etc/systemd/system/cache-service-tunnel@.service"

SSH_TEXT: Final = """\
Host lb1
    HostName lb1.example.com
    User tunnel
    LocalForward 127.0.0.1:30379 127.0.0.1:30379
    IdentityFile ${CREDENTIALS_DIRECTORY}/id_ed25519
    IdentitiesOnly yes
    PasswordAuthentication no
    BatchMode yes
    UserKnownHostsFile /etc/ssh/sealed-data-tier/tunnel/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    ExitOnForwardFailure yes
    ConnectTimeout 3
    ServerAliveInterval 2
    ServerAliveCountMax 2
    ControlMaster no
"""
SSHD_TEXT: Final = """\
Match User tunnel
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    AllowTcpForwarding local
    PermitOpen 127.0.0.1:30379 [::1]:30379
    PermitListen none
    PermitTTY no
    X11Forwarding no
    AllowAgentForwarding no
    AllowStreamLocalForwarding no
    PermitTunnel no
    GatewayPorts no
    ForceCommand /usr/sbin/nologin
Match all
"""
KEYS_TEXT: Final = (
    'restrict,port-forwarding,permitopen="127.0.0.1:30379",from="192.0.2.10,2001:db8::10",'
    f'command="/usr/sbin/nologin" {HOST_KEY} app1 generation 1\n'
)
PINS_TEXT: Final = f"lb1.example.com {HOST_KEY}\n[192.0.2.1]:2222 {HOST_KEY}\n"
UNIT_TEXT: Final = """\
[Unit]
Description=SSH tunnel %i
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=/usr/local/bin/start-tunnel.sh /etc/ssh/sealed-data-tier/tunnel/%i.conf %i
Restart=always
RestartSec=500ms
User=tunnel
LoadCredential=id_ed25519:/etc/ssh/sealed-data-tier/tunnel/id_ed25519
CapabilityBoundingSet=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes

[Install]
WantedBy=multi-user.target
"""
HAPROXY_TEXT: Final = """\
global
    user haproxy
    stats socket /run/haproxy/admin.sock mode 600 level admin

frontend haproxy_cache_service
    bind 127.0.0.1:30379
    mode tcp
    default_backend masters_cache_service

backend masters_cache_service
    mode tcp
    option tcp-check
    tcp-check send "AUTH ${CACHE_PASSWORD}\\r\\n"
    server worker1.example.com 127.0.0.1:30378 check
"""
REDIS_TEXT: Final = """\
bind 127.0.0.1 -::1
port 6379
aclfile /etc/valkey/users.acl
"""
#: Files that break no rule.
SEALED: Final[Mapping[str, str]] = {
    HAPROXY: HAPROXY_TEXT,
    REDIS: REDIS_TEXT,
    SSH: SSH_TEXT,
    SSHD: SSHD_TEXT,
    KEYS: KEYS_TEXT,
    PINS: PINS_TEXT,
    UNIT: UNIT_TEXT,
}
