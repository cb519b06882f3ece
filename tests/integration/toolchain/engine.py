"""What the tests of the toolchain run: the real engine on small projects, and a real SSH server."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.daemon import install_debian_packages

REPOSITORY = Path(__file__).parents[3]
PULUMI = REPOSITORY / "toolchain" / "pulumi"

# Makes what resources.json declares, so that a test can change it between two runs.
PROGRAM = """\
import json
import os
import signal
from pathlib import Path

import pulumi
import pulumi_tls as tls
from pulumi_command import local, remote

# When a resource fails, the engine interrupts the program, which else would take its time to say so.
signal.signal(signal.SIGINT, lambda *_: os._exit(1))

TYPES = {
    "local": local.Command,
    "remote": remote.Command,
    "copy": remote.CopyToRemote,
    "key": tls.PrivateKey,
    "ca": tls.SelfSignedCert,
    "request": tls.CertRequest,
    "leaf": tls.LocallySignedCert,
}

made = {}


def value(given):
    match given:
        case {"secret": inner}:
            return pulumi.Output.secret(inner)
        case {"of": name, "take": output}:
            return getattr(made[name], output)
        case {"asset": text}:
            return pulumi.StringAsset(text)
    return given


for name, inputs in json.loads(Path("resources.json").read_text()).items():
    made[name] = TYPES[inputs.pop("type")](name, **{key: value(given) for key, given in inputs.items()})
    for output in ("stdout", "stderr", "cert_pem", "public_key_openssh"):
        if hasattr(made[name], output):
            pulumi.export(f"{name}.{output}", getattr(made[name], output))
"""


@dataclass
class Project:
    """A Pulumi project and its one stack, on a back end of its own."""

    folder: Path
    program: str = PROGRAM
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "state").mkdir(parents=True)
        options = {"virtualenv": str(REPOSITORY / ".venv")}
        project = {"name": "probe", "runtime": {"name": "python", "options": options}}
        (self.folder / "Pulumi.yaml").write_text(json.dumps(project))
        (self.folder / "__main__.py").write_text(self.program)
        self.pulumi("stack", "init", "test")

    def pulumi(self, *arguments: str, succeeds: bool = True) -> str:
        """Run the CLI and return all it printed."""
        done = subprocess.run(
            [PULUMI, *arguments, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env={
                **os.environ,
                "PULUMI_BACKEND_URL": f"file://{self.folder}/state",
                "PULUMI_CONFIG_PASSPHRASE": "test",
                **self.environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) is succeeds, done.stdout
        return done.stdout

    def declare(self, **resources: dict[str, Any]) -> None:
        """Say which resources there shall be from the next run on."""
        (self.folder / "resources.json").write_text(json.dumps(resources))

    def up(self, **resources: dict[str, Any]) -> str:
        """Declare resources and make them."""
        self.declare(**resources)
        return self.pulumi("up", "--yes", "--skip-preview", "--diff")

    def refused(self, **resources: dict[str, Any]) -> str:
        """Declare resources that cannot be made, and return what is said about it."""
        self.declare(**resources)
        return self.pulumi("up", "--yes", "--skip-preview", succeeds=False)

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs."""
        outputs: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json", "--show-secrets"))
        return outputs

    def state(self, name: str, *options: str) -> dict[str, Any]:
        """Return the state of one resource."""
        deployment = json.loads(self.pulumi("stack", "export", *options))["deployment"]
        found: dict[str, Any] = next(
            resource for resource in deployment["resources"] if resource["urn"].endswith(f"::{name}")
        )
        return found


@dataclass
class Sshd:
    """An SSH server on loopback that lets the present user in with a key."""

    port: int
    key: str
    host_key: str
    log: Path

    @property
    def connection(self) -> dict[str, Any]:
        """Return how to connect: one attempt, as nothing here takes a while to come up."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "user": getpass.getuser(),
            "private_key": self.key,
            "host_key": self.host_key,
            "dial_error_limit": 0,
        }

    def logins(self) -> int:
        """Return how often somebody has logged in."""
        return self.log.read_text().count("Accepted publickey")


def _sshd() -> str | None:
    return shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")


def start_sshd(folder: Path) -> tuple[Sshd, subprocess.Popen[bytes]]:
    """Start an SSH server that accepts connections by the time this returns."""
    binary = _sshd()
    if not binary:
        install_debian_packages("sshd is missing: installing Debian's openssh-server", "openssh-server")
        binary = _sshd()
    assert binary
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # Debian's sshd wants it
    # With the RSA key first, a client that does not insist on the other one gets this one.
    for name, kind in {"host_rsa": "rsa", "host_ed25519": "ed25519", "login": "ed25519"}.items():
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", folder / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    log = folder / "log"
    (folder / "config").write_text(f"""\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_rsa
HostKey {folder}/host_ed25519
AuthorizedKeysFile {folder}/login.pub
StrictModes no
UsePAM no
PidFile none
AcceptEnv ACCEPTED PULUMI_COMMAND_STDOUT
""")
    process = subprocess.Popen([binary, "-D", "-f", folder / "config", "-E", log])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    host_key = (folder / "host_ed25519.pub").read_text()
    return Sshd(port, (folder / "login").read_text(), host_key, log), process
