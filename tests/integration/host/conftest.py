"""The host that the contract's tests break: a lab of its own, one stack, one role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from lab.machine import LabHost
from tests.integration.support import Outcome, Project

LAB: Final = "sdt-contract"
_PROGRAM: Final = Path(__file__).with_name("program.py")
# What a running system writes by itself; everything else has to be as it was, to the byte, the mode and the owner.
_OWN: Final = (
    "/var/log /var/cache /var/tmp /var/lib/systemd /var/lib/haproxy/dev /var/lib/apt /var/lib/dpkg /var/lib/private "
    "/etc/hosts /etc/hostname /etc/resolv.conf"
)
_TREE: Final = f"""
set -- $(printf ' -path %s -o' {_OWN}) -name '*.lock'
places='/etc /usr /opt /home /root /srv /var'
{{
    find $places -xdev \\( "$@" \\) -prune -o -printf '%p %y %m %U:%G %l\\n'
    find $places -xdev \\( "$@" \\) -prune -o -type f -print0 | xargs -0 sha256sum
}} | sort
"""


@dataclass(frozen=True)
class Target:
    """The stack and its host."""

    project: Project
    host: LabHost

    def up(self, config: Mapping[str, Any] | None = None, *, check: bool = True) -> Outcome:
        """Run `pulumi up` with a configuration."""
        self.project.configure(config or {})
        return self.project.up(check=check)

    def tree(self) -> list[str]:
        """Every file, directory and link of the host with content, mode and owner."""
        return self.host.run(_TREE, timeout=120).stdout.splitlines()

    def logins(self) -> int:
        """How often sshd let someone in."""
        return int(self.host.run("journalctl -u ssh --no-pager | grep -c 'Accepted publickey' || :").stdout)

    def serves(self, port: int) -> bool:
        """Whether the role's service answers: HAProxy hands the connection to sshd, which greets."""
        probe = f"exec 3<>/dev/tcp/127.0.0.1/{port} && IFS= read -r -t 3 line <&3 && [[ $line == SSH-* ]]"
        return self.host.run(["bash", "-c", probe], check=False).returncode == 0

    def remains(self) -> str:
        """What a transaction that is over must not leave: its journal and its staging directories."""
        return self.host.run(
            "ls -d /var/lib/sealed-data-tier/journal* 2>/dev/null; find /etc /usr/local -name .sealed-data-tier"
        ).stdout


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One host without any role; destroyed when the last test of this folder is done."""
    project = Project.create(tmp_path_factory.mktemp("contract"), _PROGRAM.read_text(), {"role": False}, lab=LAB)
    project.up()
    target = Target(project, LabHost("target", LAB))
    yield target
    target.up({"role": False}, check=False)
    project.destroy()


@pytest.fixture
def target(stack: Target) -> Target:
    """The host with the role at its defaults."""
    stack.up()
    return stack
