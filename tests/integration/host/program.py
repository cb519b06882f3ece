"""A stack of one lab host with one role, as the configuration says; the host contract's tests break it."""

import pulumi

from components.host import (
    BastionArgs,
    Check,
    Directory,
    Family,
    File,
    Host,
    HostArgs,
    Role,
    RoleSpec,
    Unit,
    User,
    Validation,
)
from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

config = pulumi.Config()
lab = Lab(
    "lab",
    LabArgs(
        settings=LabSettings.model_validate(
            {
                "prefix": "sdt-contract",
                "hosts": ["target", "bastion"],
                "subnet": "10.203.21.0/24",
                "subnet6": None,
                "cache": None,
            }
        )
    ),
)
target, bastion = lab.endpoints["target"], lab.endpoints["bastion"]
user = config.get("user") or target.user

CONFIGURATION = "/etc/haproxy/haproxy.cfg"
port = config.get_int("port") or 31001
text = f"""\
global
    maxconn 100
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend proof
    bind 127.0.0.1:{port}
    tcp-request content accept
    default_backend proof
backend proof
    server ssh 127.0.0.1:22
"""

STANDING = "/etc/systemd/system/proof-standing.service"
FLAKY = "/etc/systemd/system/proof-flaky.service"
service = """\
[Service]
Type=notify
NotifyAccess=all
ExecStart=/bin/sh -c 'systemd-notify --ready; exec sleep infinity'
Restart=always
RestartSec=2s
[Install]
WantedBy=multi-user.target
"""
# As a daemon whose port is not yet free: the first try fails, systemd's next one does not.
fails_once = service.replace("[Service]", "[Service]\nExecStartPre=/bin/sh -c '! rm /run/fails-once 2>/dev/null'")


def make_host() -> Host:
    """The host as the configuration says it is reached."""
    return Host(
        "target",
        HostArgs(
            address=config.get("address") or target.address,
            user=user,
            host_key=bastion.host_key if config.get_bool("wrongHostKey") else target.host_key,
            private_key=target.private_key,
            sudo_password=lab.sudo_password if config.get_bool("sudoPassword") else None,
            bastion=BastionArgs(
                address=bastion.address, user=bastion.user, host_key=bastion.host_key, private_key=bastion.private_key
            )
            if config.get_bool("throughBastion")
            else None,
            family=Family(config.get("family") or "debian"),
            incarnation=target.container_id,
        ),
    )


def make_role(host: Host) -> None:
    """The role as the configuration changes or breaks it."""
    Role(
        "proof",
        host,
        RoleSpec(
            name="proof",
            packages=tuple(config.get_object("packages") or ["haproxy"]),
            users=(User(name="proof-user"),),
            directories=(
                Directory(path="/etc/proof"),
                Directory(path="/etc/proof/inner", mode=0o750, group="proof-user"),
            ),
            files=(
                File(path=CONFIGURATION, content="nonsense\n" if config.get_bool("broken") else text),
                File(path="/etc/proof/plain", content=f"port {port}\n"),
                File(path=STANDING, content=service),
                File(path=FLAKY, content=fails_once),
                File(
                    path="/etc/proof/inner/secret",
                    content=config.get_secret("secret") or pulumi.Output.secret("none"),
                    mode=0o600,
                    owner="proof-user",
                    secret=True,
                ),
            ),
            units=(
                Unit(name="haproxy.service", reload_on=(CONFIGURATION,)),
                Unit(name="proof-standing.service", restart_on=(STANDING,)),
                Unit(name="proof-flaky.service", restart_on=(FLAKY, "/etc/proof/plain")),
            ),
            validations=(
                Validation(name="haproxy -c", command=f"haproxy -c -f @{{{CONFIGURATION}}}"),
                Validation(name="patience", command=config.get("validation") or "true", timeout=3),
            ),
            checks=(
                Check(
                    name="serves",
                    command=config.get("check") or f"ss -Hltn src 127.0.0.1:{port} | grep -q .",
                    timeout=5,
                ),
            ),
        ),
    )


if config.get_bool("host") is not False:
    target_host = make_host()
    if config.get_bool("role") is not False:
        make_role(target_host)
