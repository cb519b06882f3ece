"""The stack that tests of tunnels break and change: a lab of its own, and the tunnels of one configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.machine import LabHost
from tests.integration.support import Outcome, Project
from tests.variation import varied

USER: Final = "cache-service-tunnel"
DIRECTORY: Final = f"/etc/ssh/sealed-data-tier/{USER}"
PORT: Final = 30379
"""Where the lab's cache answers on a worker's loopback, and app1's tunnel listens."""
DIRECT: Final = "cache-service-tunnel-websphere.service"
"""The unit of app1's tunnel to worker1."""

LAB: Final = {
    "prefix": "sdt-tunnels",
    "hosts": ["app1", "lb1", "worker1", "worker2"],
    "subnet": "10.203.18.0/24",
    "subnet6": "fd5d:7a1e:203:18::/64",
}
TUNNELS: Final[Mapping[str, Any]] = {
    "clients": [
        {
            "host": "app1",
            "unit": DIRECT.removesuffix(".service"),
            "tunnels": [{"server": "worker1", "localPort": PORT, "targetPort": PORT}],
        },
        {
            "host": "lb1",
            "unit": "cache-service-tunnel-k8s@",
            "tunnels": [
                {"server": "worker1", "name": "worker1.example.com", "localPort": 30378, "targetPort": PORT},
                {"server": "worker2", "name": "worker2.example.com", "localPort": 30380, "targetPort": PORT},
            ],
        },
    ]
}
INSTANCE: Final = "cache-service-tunnel-k8s@worker{0}.example.com-{1}.service"

_PROGRAM: Final = Path(__file__).with_name("program.py")
# Everything that a role could have touched, with content, owner and mode; but for what a running system writes itself.
_TREE: Final = """
find /etc /usr/local /home /root /srv /opt -xdev ! -path /etc/resolv.conf ! -path /etc/hosts ! -name '*.lock' \
    ! -path '/etc/.pwd.lock' -printf '%p %y %m %U:%G %l ' \\( -type f -exec sha256sum {} ';' -o -printf '\\n' \\) | sort
"""


@dataclass
class Stack:
    """The stack and its hosts.

    Attributes:
        project: Its Pulumi project.
        lab: Settings of its lab.
        applied: The configuration that it has; None after a run that failed.
    """

    project: Project
    lab: Mapping[str, Any]
    applied: Mapping[str, Any] | None = None

    @staticmethod
    def create(directory: Path, lab: Mapping[str, Any] = LAB) -> Stack:
        """Bring up the hosts, with nothing on them."""
        stack = Stack(Project.create(directory, _PROGRAM.read_text(), lab=str(lab["prefix"])), lab)
        stack.up()
        return stack

    def destroy(self) -> None:
        """Remove every trace of it."""
        self.up(check=False)
        self.project.destroy()

    def up(self, *, check: bool = True, **config: Any) -> Outcome:
        """Run `pulumi up` with a configuration beside the lab's."""
        self.applied = None
        self.project.configure({"lab": dict(self.lab), **config})
        outcome = self.project.up(check=check)
        self.applied = None if outcome.code else config
        return outcome

    def settle(self, **config: Any) -> None:
        """Have a configuration applied, without a run where it is already."""
        if self.applied != config:
            self.up(**config)

    def host(self, name: str) -> LabHost:
        """One of its hosts."""
        return LabHost(name, str(self.lab["prefix"]))

    def password(self) -> str:
        """The cache's password."""
        return str(self.project.outputs()["password"])

    def tree(self, name: str) -> list[str]:
        """What `tree` says of one of its hosts."""
        return tree(self.host(name))

    def logins(self) -> int:
        """How often any host's sshd let the deploying machine in."""
        return sum(journal(self.host(name), "Accepted publickey for ops") for name in self.lab["hosts"])


def tree(host: LabHost) -> list[str]:
    """Every file, directory and link that a role could have touched on a host, with content, owner and mode."""
    return host.run(_TREE).stdout.splitlines()


def changed(path: str, value: Any) -> dict[str, Any]:
    """The tunnels with one value set; `path` as `varied` takes it."""
    return varied(TUNNELS, path, value)


def property_of(host: LabHost, unit: str, name: str) -> str:
    """One property of a unit (systemctl(1), show)."""
    return host.run(["systemctl", "show", "--property", name, "--value", unit]).stdout.strip()


def journal(host: LabHost, words: str) -> int:
    """In how many lines sshd wrote some words."""
    return int(host.run(f"journalctl -u ssh --no-pager | grep -cF -e '{words}' || :").stdout)


def carries(host: LabHost, port: int, address: str = "127.0.0.1") -> bool:
    """Whether the cache answers through a port; without a password it says so, which is an answer."""
    said = host.run(["valkey-cli", "-h", address, "-p", str(port), "PING"], check=False, timeout=5).stdout
    return "NOAUTH" in said or "PONG" in said


def wait_for(host: LabHost, port: int, *, seconds: int = 60) -> None:
    """Wait until a port carries.

    Raises:
        CommandError: It did not in time.
    """
    ask = f"until valkey-cli -p {port} PING 2>/dev/null | grep -q NOAUTH; do sleep 0.1; done"
    host.run(f"timeout {seconds} sh -c '{ask}'", timeout=seconds + 5)


@contextmanager
def listener(host: LabHost, port: int, address: str = "127.0.0.1") -> Iterator[None]:
    """Another program of the host that holds a port."""
    family = "AF_INET6" if ":" in address else "AF_INET"
    # It asks for the address although connections of the former holder are in TIME_WAIT, as servers do.
    code = (
        f"import socket, time; s = socket.create_server(({address!r}, {port}), family=socket.{family}); time.sleep(600)"
    )
    host.run(["systemd-run", "--quiet", "--collect", "--unit=thief", "python3", "-c", code])
    host.run(f"timeout 50 sh -c 'until ss -Hltn sport = :{port} | grep -q .; do sleep 0.1; done'")
    try:
        yield
    finally:
        host.run(["systemctl", "stop", "thief.service"])
