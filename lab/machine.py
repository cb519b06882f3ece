"""A host of the lab as tests hold it: run something on it, break it, and know when it is well again.

Everything goes through Docker, never through the host's own sshd, so that it still works while sshd is what is broken.
For testinfra, the same host is ``testinfra.get_host(f"docker://{host.container}")``.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from lab.settings import HOST_LABEL, LAB_LABEL, LabSettings

DEFAULT_LAB = LabSettings().prefix
COMMAND_SECONDS = 60
"""How long a command may take unless it says otherwise."""
BOOT_SECONDS = 30
"""How long a host may take from its start until sshd answers."""

_FAULTS = "lab_faults"
_LIVED_S = 11.0
"""After so long Docker takes a container for one that works."""


@dataclass(frozen=True)
class LabHost:
    """One host of a lab.

    Attributes:
        name: Its name in the lab, for example `worker1`.
        lab: The lab's prefix.
    """

    name: str
    lab: str = DEFAULT_LAB

    @property
    def container(self) -> str:
        """The name of its container."""
        return f"{self.lab}-{self.name}"

    @property
    def address(self) -> str:
        """Its IPv4 address in the lab's network, which it has only while it runs."""
        return self._docker(
            "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", self.container
        ).stdout.strip()

    def run(
        self,
        command: str | Sequence[str],
        *,
        check: bool = True,
        stdin: str | None = None,
        timeout: float = COMMAND_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command as root.

        Args:
            command: Words, or one line for the shell.
            check: Whether a failure is an error.
            stdin: What the command reads.
            timeout: Seconds, after which the command is killed on the host too.

        Raises:
            CommandError: The command failed or hung, with what it wrote.
        """
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        # docker exec can be killed without what it started, so the limit that counts is on the host
        limited = ("timeout", "--signal=KILL", f"{timeout}", *words)
        return self._docker(
            "exec", "--interactive", self.container, *limited, check=check, stdin=stdin, timeout=timeout
        )

    def kill(self) -> None:
        """Takes the power away; the host stays down until `start`."""
        self._docker("kill", self.container)

    def start(self) -> None:
        """Boots a host that is down and waits for sshd."""
        self._docker("start", self.container)
        self.wait_until_up()

    def restart(self) -> None:
        """Shuts the host down, boots it again and waits for sshd."""
        self._docker("restart", self.container)
        self.wait_until_up()

    def reboot(self) -> None:
        """Reboots the host from the inside, as `reboot` on a server does, and waits for sshd."""
        before = self.started_at
        # Docker restarts later and later what never lived for long.
        time.sleep(max(0.0, _LIVED_S - (datetime.now(UTC) - datetime.fromisoformat(before)).total_seconds()))
        self.run("systemctl reboot", check=False)
        deadline = time.monotonic() + BOOT_SECONDS
        while self.started_at == before:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} did not go down within {BOOT_SECONDS} s of its reboot")
            time.sleep(0.1)
        self.wait_until_up()

    @property
    def is_on(self) -> bool:
        """Whether it has power."""
        return self._docker("inspect", "--format", "{{.State.Running}}", self.container).stdout == "true\n"

    @property
    def started_at(self) -> str:
        """When the host was booted."""
        return self._docker("inspect", "--format", "{{.State.StartedAt}}", self.container).stdout.strip()

    def wait_until_up(self, timeout: float = BOOT_SECONDS) -> None:
        """Waits until sshd answers.

        Raises:
            TimeoutError: It did not in `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not self._greets():
            if time.monotonic() > deadline:
                raise TimeoutError(f"sshd on {self.name} did not answer within {timeout} s")
            time.sleep(0.1)

    def _greets(self) -> bool:
        address = self.address
        if not address:
            return False
        try:
            with socket.create_connection((address, 22), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Freezes every process of the host; its network still acknowledges what arrives."""
        self._docker("pause", self.container)
        try:
            yield
        finally:
            self._docker("unpause", self.container)

    @contextmanager
    def frozen(self, unit: str) -> Iterator[None]:
        """Freezes a unit's processes by SIGSTOP."""
        self.run(["systemctl", "kill", "--signal=STOP", unit])
        try:
            yield
        finally:
            self.run(["systemctl", "kill", "--signal=CONT", unit], check=False)

    @contextmanager
    def cut_off_from(self, *addresses: str) -> Iterator[None]:
        """Drops every packet from and to some IPv4 addresses, silently, in a table of its own."""
        peers = ", ".join(addresses)
        self.run(
            ["nft", "-f", "-"],
            stdin=f"""
            table ip {_FAULTS} {{
                chain input {{ type filter hook input priority -300; ip saddr {{ {peers} }} drop; }}
                chain output {{ type filter hook output priority -300; ip daddr {{ {peers} }} drop; }}
            }}
            """,
        )
        try:
            yield
        finally:
            self.run(["nft", "delete", "table", "ip", _FAULTS], check=False)

    @contextmanager
    def disk_full(self, directory: str, free_kib: int = 0) -> Iterator[None]:
        """Puts a directory on a file system of its own, with its content and next to no room left.

        What is written there meanwhile is lost afterwards, as is the fault itself in a reboot.

        Args:
            directory: An existing directory.
            free_kib: How much still fits, in KiB; it counts in pages of 4 KiB.
        """
        self.run(
            # The shell stays in the directory that the new file system hides, and copies from there.
            f"""set -eu
            cd {shlex.quote(directory)}
            mount -t tmpfs -o "mode=$(stat -c %a .),uid=$(stat -c %u .),gid=$(stat -c %g .)" {_FAULTS} "$PWD"
            cp -a . "$PWD"
            used=$(df --output=used --block-size=1K "$PWD" | tail -n 1)
            mount -o "remount,size=$((used + {free_kib}))k" "$PWD"
            """
        )
        try:
            yield
        finally:
            self.run(["umount", "--lazy", directory], check=False)

    @staticmethod
    def _docker(
        *words: str, check: bool = True, stdin: str | None = None, timeout: float = COMMAND_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        grace = 10
        done = subprocess.run(
            ["docker", *words], input=stdin or "", capture_output=True, text=True, timeout=timeout + grace, check=False
        )
        if check and done.returncode:
            raise CommandError(done)
        return done


class CommandError(Exception):
    """A command failed; its text has the command, its exit code and what it wrote."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        super().__init__(f"{shlex.join(done.args)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        self.done = done


def hosts(lab: str = DEFAULT_LAB) -> dict[str, LabHost]:
    """The hosts that a lab has in Docker at this moment, by name."""
    listing = subprocess.run(
        ["docker", "ps", "--all", f"--filter=label={LAB_LABEL}={lab}", "--format", f'{{{{.Label "{HOST_LABEL}"}}}}'],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name: LabHost(name, lab) for name in sorted(listing.stdout.split())}
