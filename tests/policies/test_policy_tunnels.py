"""Tunnel hardening: every rule broken and kept."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from policies.rules import Finding, HostFiles, check_files
from tests.policies.support import (
    HOST_KEY,
    KEYS,
    KEYS_TEXT,
    PINS,
    PINS_TEXT,
    SEALED,
    SSH,
    SSH_TEXT,
    SSHD,
    SSHD_TEXT,
    UNIT,
    UNIT_TEXT,
    found,
    role,
    rules,
)


def without(text: str, keyword: str) -> str:
    changed = re.sub(rf"(?m)^\s*{keyword}\b.*\n", "", text)
    assert changed != text
    return changed


def replaced(text: str, keyword: str, line: str) -> str:
    return re.sub(rf"(?m)^(\s*){keyword}\b.*$", lambda found: found[1] + line, text)


def ssh(text: str) -> list[Finding]:
    return found(SSH, text, **{PINS: PINS_TEXT})


# --- the near end ---

REQUIRED_OF_SSH = [
    "StrictHostKeyChecking",
    "UserKnownHostsFile",
    "GlobalKnownHostsFile",
    "BatchMode",
    "PasswordAuthentication",
    "IdentitiesOnly",
    "ExitOnForwardFailure",
    "ConnectTimeout",
    "ServerAliveInterval",
]


@pytest.mark.parametrize("keyword", REQUIRED_OF_SSH)
def test_ssh_has_to_say(keyword: str) -> None:
    [finding] = ssh(without(SSH_TEXT, keyword))
    assert (finding.rule, finding.path, finding.line) == ("tunnel-client", SSH, 1)
    assert finding.value == f"{keyword} not set"
    assert f"write '{keyword} " in finding.fix


@pytest.mark.parametrize("keyword", ["ServerAliveCountMax", "ControlMaster"])
def test_ssh_may_leave_out(keyword: str) -> None:
    assert ssh(without(SSH_TEXT, keyword)) == []


@pytest.mark.parametrize(
    "line",
    [
        "StrictHostKeyChecking no",
        "StrictHostKeyChecking accept-new",
        "StrictHostKeyChecking ask",
        "UserKnownHostsFile /dev/null",
        "UserKnownHostsFile none",
        f"UserKnownHostsFile {PINS} /dev/null",
        "GlobalKnownHostsFile /etc/ssh/ssh_known_hosts",
        "BatchMode no",
        "PasswordAuthentication yes",
        "IdentitiesOnly no",
        "ExitOnForwardFailure no",
        "ConnectTimeout 0",
        "ConnectTimeout 300",
        "ConnectTimeout none",
        "ServerAliveInterval 0",
        "ServerAliveInterval 10m",
        "ServerAliveCountMax 100",
        "ControlMaster auto",
        "ControlMaster=yes",
    ],
)
def test_ssh_must_not_say(line: str) -> None:
    keyword = line.replace("=", " ").split()[0]
    text = replaced(SSH_TEXT, keyword, line)
    [finding] = ssh(text)
    assert (finding.rule, finding.line) == ("tunnel-client", text.split("\n").index(f"    {line}") + 1)


@pytest.mark.parametrize("keyword", ["GatewayPorts", "ForwardAgent", "ForwardX11", "PermitLocalCommand"])
def test_ssh_must_not_switch_on(keyword: str) -> None:
    assert rules(ssh(f"{SSH_TEXT}    {keyword} yes\n")) == {"tunnel-client"}
    assert ssh(f"{SSH_TEXT}    {keyword} no\n") == []


def test_the_first_value_counts() -> None:
    assert ssh(f"{SSH_TEXT}    BatchMode no\n") == []
    assert ssh(f"BatchMode no\n{SSH_TEXT}")[0].value == "BatchMode no"


def test_a_block_that_may_hold_counts() -> None:
    [finding] = ssh(f"Match exec /bin/true\n    BatchMode no\n{SSH_TEXT}")
    assert (finding.value, finding.line) == ("BatchMode no", 2)
    assert ssh(f"Match exec /bin/true\n    BatchMode yes\n{SSH_TEXT}") == []


def test_defaults_for_every_host_count() -> None:
    common = without(SSH_TEXT, "BatchMode") + "Host other\n    BatchMode no\nHost *\n    BatchMode yes\n"
    assert ssh(common) == []


def test_included_options_count() -> None:
    strict = "/etc/ssh/sealed-data-tier/tunnel/strict"
    text = without(SSH_TEXT, "BatchMode") + f"    Include {strict}\n"
    assert found(SSH, text, **{PINS: PINS_TEXT, strict: "BatchMode yes\n"}) == []
    missing = ssh(text)
    assert [finding.note for finding in missing] == [True, False]


def test_a_configuration_without_a_forward_is_no_tunnel() -> None:
    assert ssh("Host lb1\n    HostName lb1.example.com\n") == []


def test_the_vendors_own_unit_is_soft() -> None:
    """The cache service guide's unit and wrapper script, as written there."""
    unit = """\
[Unit]
Description=SSH Tunnel from WebSphere to HAProxy
After=network.target

[Service]
Type=simple
ExecStart=/usr/bin/ssh -i /home/cache-service-tunnel/.ssh/id_ed25519 tunnel@lb1 -L 30379:127.0.0.1:30379 -N
Restart=always
RestartSec=30s
User=cache-service-tunnel

[Install]
WantedBy=multi-user.target
"""
    findings = found("/etc/systemd/system/cache-service-tunnel-websphere.service", unit)
    assert rules(findings) == {"tunnel-client", "tunnel-unit"}
    told = {finding.value for finding in findings}
    assert {"StrictHostKeyChecking not set", "RestartSec=30s", "LocalForward 30379:127.0.0.1:30379"} <= told
    assert {"StartLimitIntervalSec not set", "LoadCredential not set", "CapabilityBoundingSet not set"} <= told
    script = """\
#!/bin/bash
TARGET_PORT=$(echo "$1" | rev | cut -d- -f1 | rev)
/usr/bin/ssh -i "$SSH_KEY" "$SSH_USER"@"$KUBE_WORKER_FQDN" \\
  -L "$TARGET_PORT":127.0.0.1:"$NODE_PORT" -N
"""
    findings = found("/usr/local/bin/start-cache-service-tunnel.sh", script)
    assert rules(findings) == {"tunnel-client"}
    assert {finding.line for finding in findings} == {3}


@pytest.mark.parametrize(
    "option", ["-o StrictHostKeyChecking=no", '-o "BatchMode no"', "-oServerAliveInterval=0", "-M", "-A"]
)
def test_a_command_line_may_not_soften_its_file(option: str) -> None:
    command = f"ExecStart=/usr/bin/ssh -F {SSH} {option} -N lb1"
    unit = replaced(UNIT_TEXT, "ExecStart", command)
    [finding] = found(UNIT, unit, **{SSH: SSH_TEXT, PINS: PINS_TEXT})
    assert (finding.rule, finding.path, finding.line) == ("tunnel-client", UNIT, 7)
    assert found(UNIT, unit.replace(option, ""), **{SSH: SSH_TEXT, PINS: PINS_TEXT}) == []


def test_a_file_that_is_not_there_is_told() -> None:
    unit = replaced(UNIT_TEXT, "ExecStart", "ExecStart=/usr/bin/ssh -F /etc/ssh/other/%i.conf %i")
    [finding] = found(UNIT, unit)
    assert (finding.note, finding.value) == (True, "-F /etc/ssh/other/%i.conf")
    assert found(UNIT, unit, **{"/etc/ssh/other/lb1.conf": SSH_TEXT, PINS: PINS_TEXT}) == []


def test_known_hosts_that_is_not_there_is_told() -> None:
    [finding] = found(SSH, SSH_TEXT)
    assert (finding.rule, finding.note, finding.value) == ("tunnel-known-hosts", True, PINS)
    assert rules(found(SSH, replaced(SSH_TEXT, "UserKnownHostsFile", "UserKnownHostsFile ~/.ssh/known_hosts"))) == {
        "tunnel-known-hosts"
    }


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        (PINS_TEXT, set()),
        (f"* {HOST_KEY}\n", {"tunnel-known-hosts"}),
        (f"*.example.com,!x.example.com {HOST_KEY}\n", {"tunnel-known-hosts"}),
        (f"@revoked * {HOST_KEY}\n", set()),
        (f"|1|c2FsdA==|aGFzaA== {HOST_KEY}\n", set()),
        ("lb1.example.com\n", {"unreadable"}),
    ],
)
def test_known_hosts(text: str, broken: set[str]) -> None:
    assert rules(found(PINS, text)) == broken


# --- the far end ---

REQUIRED_OF_SSHD = [line.split()[0] for line in SSHD_TEXT.splitlines() if line.startswith(" ")]


@pytest.mark.parametrize("keyword", REQUIRED_OF_SSHD)
def test_sshd_has_to_say(keyword: str) -> None:
    [finding] = found(SSHD, without(SSHD_TEXT, keyword))
    assert (finding.rule, finding.path, finding.line) == ("tunnel-server", SSHD, 1)
    assert finding.value == f"{keyword} not set"


@pytest.mark.parametrize(
    "line",
    [
        "PasswordAuthentication yes",
        "KbdInteractiveAuthentication yes",
        "AllowTcpForwarding yes",
        "AllowTcpForwarding all",
        "AllowTcpForwarding remote",
        "PermitOpen any",
        "PermitOpen 127.0.0.1:*",
        "PermitOpen *:30379",
        "PermitOpen 127.0.0.1:30379 any",
        "PermitListen any",
        "PermitListen 8080",
        "PermitTTY yes",
        "X11Forwarding yes",
        "AllowAgentForwarding yes",
        "AllowStreamLocalForwarding local",
        "PermitTunnel point-to-point",
        "GatewayPorts yes",
        "GatewayPorts clientspecified",
        "ForceCommand none",
    ],
)
def test_sshd_must_not_say(line: str) -> None:
    text = replaced(SSHD_TEXT, line.split(maxsplit=1)[0], line)
    [finding] = found(SSHD, text)
    assert (finding.rule, finding.value) == ("tunnel-server", line)
    assert finding.line == text.split("\n").index(f"    {line}") + 1


def test_an_earlier_file_counts_first() -> None:
    earlier = "/etc/ssh/sshd_config.d/10-wide.conf"
    [finding] = found(SSHD, SSHD_TEXT, **{earlier: "Match User t*\n    PermitTTY yes\n"})
    assert (finding.path, finding.line, finding.value) == (earlier, 2, "PermitTTY yes")
    assert found(SSHD, SSHD_TEXT, **{"/etc/ssh/sshd_config.d/90-wide.conf": "Match User t*\n    PermitTTY yes\n"}) == []
    assert found(SSHD, SSHD_TEXT, **{earlier: "Match User !tunnel,*\n    PermitTTY yes\n"}) == []


def test_a_match_that_may_hold_counts() -> None:
    conditional = "Match User tunnel Address 10.0.0.0/8\n    PermitTTY yes\n" + SSHD_TEXT
    assert "PermitTTY yes" in {finding.value for finding in found(SSHD, conditional)}


def test_the_global_section_comes_after_every_match() -> None:
    assert found(SSHD, f"PermitTTY yes\n{SSHD_TEXT}") == []


def test_a_whole_sshd_config_with_its_includes() -> None:
    main = "/etc/ssh/sshd_config"
    text = "Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication yes\n"
    assert found(main, text, **{SSHD: SSHD_TEXT}) == []
    softened = f"Match User tunnel\n    PermitTTY yes\nMatch all\n{text}"
    assert [finding.path for finding in found(main, softened, **{SSHD: SSHD_TEXT})] == [main]


def test_accounts_that_are_not_for_tunnels_are_left_alone() -> None:
    assert found(SSHD, "Match User backup\n    PasswordAuthentication no\n    X11Forwarding yes\n") == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("restrict,", ""),
        ("port-forwarding,", ""),
        ('permitopen="127.0.0.1:30379",', ""),
        ('permitopen="127.0.0.1:30379"', 'permitopen="*:30379"'),
        ('permitopen="127.0.0.1:30379"', 'permitopen="127.0.0.1:*"'),
        ('from="192.0.2.10,2001:db8::10",', ""),
        ('from="192.0.2.10,2001:db8::10"', 'from="*"'),
        ('from="192.0.2.10,2001:db8::10"', 'from="192.0.2.10,0.0.0.0/0"'),
        (',command="/usr/sbin/nologin"', ""),
        (',command="/usr/sbin/nologin"', ',command=""'),
        ("restrict,", "restrict,pty,"),
        ("restrict,", "restrict,agent-forwarding,"),
    ],
)
def test_keys(old: str, new: str) -> None:
    assert old in KEYS_TEXT
    [finding] = found(KEYS, "# keys\n" + KEYS_TEXT.replace(old, new))
    assert (finding.rule, finding.line) == ("tunnel-key", 2)
    assert HOST_KEY not in str(finding)


def test_keys_on_the_fleet() -> None:
    assert found(KEYS, KEYS_TEXT) == []
    assert found("/home/tunnel/.ssh/authorized_keys", KEYS_TEXT) == []
    assert len(found("/home/tunnel/.ssh/authorized_keys", f"{HOST_KEY}\n")) == 4
    assert rules(found(KEYS, 'restrict,command="x ssh-ed25519\n')) == {"unreadable"}


# --- the unit ---

REQUIRED_OF_UNIT = [
    "StartLimitIntervalSec",
    "Restart",
    "User",
    "LoadCredential",
    "CapabilityBoundingSet",
    "NoNewPrivileges",
    "ProtectSystem",
    "ProtectHome",
    "PrivateTmp",
    "PrivateDevices",
    "ProtectKernelTunables",
    "ProtectControlGroups",
    "RestrictSUIDSGID",
]


@pytest.mark.parametrize("key", REQUIRED_OF_UNIT)
def test_unit_has_to_say(key: str) -> None:
    [finding] = found(UNIT, without(UNIT_TEXT, key))
    assert (finding.rule, finding.path, finding.value) == ("tunnel-unit", UNIT, f"{key} not set")


@pytest.mark.parametrize(
    "line",
    [
        "StartLimitIntervalSec=10",
        "Restart=on-failure",
        "RestartSec=6",
        "RestartSec=1min",
        "RestartSec=infinity",
        "User=root",
        "User=0",
        "User=",
        "CapabilityBoundingSet=CAP_NET_ADMIN",
        "CapabilityBoundingSet=~CAP_NET_ADMIN",
        "NoNewPrivileges=no",
        "ProtectSystem=full",
        "ProtectHome=read-only",
        "PrivateTmp=false",
        "PrivateDevices=0",
    ],
)
def test_unit_must_not_say(line: str) -> None:
    text = replaced(UNIT_TEXT, line.partition("=")[0], line)
    [finding] = found(UNIT, text)
    assert (finding.rule, finding.value, finding.line) == ("tunnel-unit", line, text.split("\n").index(line) + 1)


@pytest.mark.parametrize(
    "line", ["RestartSec=5s", "RestartSec=4s 900ms", "RestartSec=", "ProtectHome=tmpfs", "NoNewPrivileges=1"]
)
def test_unit_may_say(line: str) -> None:
    assert found(UNIT, replaced(UNIT_TEXT, line.partition("=")[0], line)) == []


def test_a_key_in_the_wrong_section_is_told() -> None:
    moved = without(UNIT_TEXT, "StartLimitIntervalSec").replace("[Service]\n", "[Service]\nStartLimitIntervalSec=0\n")
    [finding] = found(UNIT, moved)
    assert finding.value == "StartLimitIntervalSec=0"
    assert finding.fix == "write 'StartLimitIntervalSec=0' in section [Unit]"


def test_drop_ins_count() -> None:
    drop_in = UNIT + ".d/10-slow.conf"
    [finding] = found(UNIT, UNIT_TEXT, **{drop_in: "[Service]\nRestartSec=30\n"})
    assert (finding.path, finding.line) == (drop_in, 2)
    assert found(UNIT, without(UNIT_TEXT, "NoNewPrivileges"), **{drop_in: "[Service]\nNoNewPrivileges=yes\n"}) == []
    instance = "/etc/systemd/system/cache-service-tunnel@lb1.example.com-30378.service.d/x.conf"
    [finding] = found(UNIT, UNIT_TEXT, **{instance: "[Service]\nCapabilityBoundingSet=CAP_KILL\n"})
    assert finding.path == instance


def test_a_drop_in_alone_is_judged_by_what_it_says() -> None:
    drop_in = UNIT + ".d/10-slow.conf"
    assert found(drop_in, "[Service]\nRestartSec=1\n") == []
    assert rules(found(drop_in, "[Service]\nRestart=no\nUser=root\n")) == {"tunnel-unit"}


def test_dynamic_user_brings_its_own_sandbox() -> None:
    text = UNIT_TEXT
    for key in ("User", "NoNewPrivileges", "ProtectSystem", "PrivateTmp", "RestrictSUIDSGID"):
        text = without(text, key)
    assert found(UNIT, text.replace("[Service]\n", "[Service]\nDynamicUser=yes\n")) == []


def test_other_units_are_left_alone() -> None:
    sshd = "[Service]\nExecStart=/usr/sbin/sshd -D -f /etc/ssh/sshd_config\n"
    assert found("/etc/systemd/system/ssh.service", sshd) == []
    assert found("/etc/systemd/system/haproxy.service.d/x.conf", "[Service]\nRestart=no\n") == []


def test_a_unit_is_known_by_the_script_that_it_runs() -> None:
    path, unit = "/usr/local/bin/go", "[Service]\nExecStart=/usr/local/bin/go lb1\n"
    script = '#!/bin/sh\nexec ssh -F "$1" lb1\n'
    assert found("/etc/systemd/system/go.service", unit) == []
    assert rules(found("/etc/systemd/system/go.service", unit, **{path: script})) == {"tunnel-unit"}


@pytest.mark.parametrize(
    ("shell", "broken"), [("/usr/sbin/nologin", set()), ("/bin/false", set()), ("/bin/bash", {"tunnel-user"})]
)
def test_the_account_has_no_shell(shell: str, broken: set[str]) -> None:
    for path, text in ((UNIT, UNIT_TEXT), (SSHD, SSHD_TEXT)):
        assert rules(check_files(HostFiles(texts={path: text}, users={"tunnel": shell}))) == broken
        assert role({path: text}, users=[f"tunnel /nonexistent {shell}"]).rules == broken


def test_message() -> None:
    outcome = role({**SEALED, SSH: replaced(SSH_TEXT, "StrictHostKeyChecking", "StrictHostKeyChecking accept-new")})
    assert outcome.violations == [
        (
            "tunnel-hardening",
            f"lb1-role: {SSH}:11: `StrictHostKeyChecking accept-new`: an unknown host key is taken. "
            "Fix: write 'StrictHostKeyChecking yes'. [tunnel-client]",
        )
    ]


def test_unreadable_lines_are_told() -> None:
    broken: Sequence[tuple[str, str]] = [
        (SSH, SSH_TEXT + '    User "x\n'),
        (SSHD, SSHD_TEXT + 'AllowUsers "x\n'),
        (UNIT, UNIT_TEXT + "nonsense\n"),
    ]
    for path, text in broken:
        assert rules(found(path, text)) == {"unreadable"}
