"""A stack of hosts that exist already: this repository's own program, with a configuration as the README shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from lab.machine import LabHost
from tests.integration.support import ROOT, Outcome, Project

LAB: Final = {
    "prefix": "sdt-production",
    "hosts": ["app1", "lb1", "worker1", "worker2"],
    "subnet": "10.203.45.0/24",
    "subnet6": None,
}
SERVICE: Final[Mapping[str, Any]] = {
    "applicationHosts": ["app1"],
    "loadBalancer": "lb1",
    "workers": [{"host": "worker1", "localPort": 30378}, {"host": "worker2", "localPort": 30380}],
}
POLICIES: Final = ("--policy-pack", str(ROOT / "policies"))
NAME: Final = "sealed-data-tier"
PROGRAM: Final = f"import runpy\nrunpy.run_path({str(ROOT / '__main__.py')!r}, run_name='__main__')\n"


@dataclass(frozen=True)
class Production:
    """The stack, and the hosts that it declares.

    Attributes:
        project: Its Pulumi project.
        hosts: What the configuration says of each host.
        password: The cache's password.
    """

    project: Project
    hosts: Mapping[str, Mapping[str, Any]] = field(repr=False)
    password: str = field(repr=False)

    def configure(self, hosts: Mapping[str, Any] | None = None, **changes: Any) -> None:
        """Write the stack's configuration."""
        service = {**SERVICE, "password": self.password, **changes}
        self.project.configure({"hosts": dict(hosts or self.hosts), "cacheService": service})

    def up(self, *, check: bool = True) -> Outcome:
        """Run `pulumi up` as `make up` does."""
        return self.project.up(*POLICIES, check=check)

    def host(self, name: str) -> LabHost:
        """One of the hosts."""
        return LabHost(name, str(LAB["prefix"]))


@pytest.fixture(scope="package")
def existing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:
    """Hosts with nothing of ours on them; removed when the last test of this folder is done."""
    directory = tmp_path_factory.mktemp("hosts")
    program = Path(__file__).with_name("hosts.py").read_text()
    project = Project.create(directory, program, {"lab": LAB}, lab=str(LAB["prefix"]))
    project.up()
    yield project.outputs()
    project.destroy()


@pytest.fixture
def production(existing: Mapping[str, Any], tmp_path: Path) -> Iterator[Production]:
    """The stack, new, with its hosts as they were; what a test leaves on them is taken back."""
    stack = Production(Project.create(tmp_path, PROGRAM, name=NAME), existing["hosts"], existing["password"])
    stack.configure()
    yield stack
    stack.project.destroy()
