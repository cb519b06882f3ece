"""A host with a firewall, services on it, and a host that has no business with them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from lab.machine import LabHost
from lab.settings import LabSettings
from tests.integration.host.conftest import Target
from tests.integration.support import Outcome, Project

LAB: Final[dict[str, Any]] = {
    "prefix": "sdt-firewall",
    "hosts": ["guarded", "outsider"],
    "subnet": "10.203.52.0/25",
    "subnet6": "fd5d:7a1e:203:52::/64",
    "cache": None,
}
_SETTINGS: Final = LabSettings.model_validate(LAB)
ADDRESS: Final = str(_SETTINGS.address("guarded"))
ADDRESS6: Final = str(_SETTINGS.address6("guarded"))
#: Where the deploying machine comes from.
DEPLOYER: Final = str(_SETTINGS.subnet[1])
CLOSED, OTHER, TRANSLATED = 6001, 6002, 7001
FLOW: Final = {"port": CLOSED, "sources": [], "purpose": "nobody"}
#: Seconds to confirm: the shortest that there are.
QUICK: Final = {"confirmWithin": 15}
HERE: Final = Path(__file__).parent
_TABLE: Final = "inet sealed_data_tier"
_TRIAL: Final = "systemctl list-units --all --plain --no-legend 'sealed-data-tier-firewall-trial*'"


@dataclass(frozen=True)
class Stage(Target):
    """The stack, its host, and the outsider."""

    outsider: LabHost

    @staticmethod
    def configuration(config: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The stack's configuration; default: one closed port."""
        return {"lab": LAB, "flows": [FLOW], **(config or {})}

    def up(self, config: Mapping[str, Any] | None = None, *, check: bool = True) -> Outcome:
        """Run `pulumi up` with flows and settings."""
        return super().up(self.configuration(config), check=check)

    def serve(self) -> None:
        """Have services answer, also after a reboot."""
        if self.host.run("systemctl is-active -q listener", check=False).returncode:
            self.host.run("cat >/run/listener.py", stdin=(HERE / "listener.py").read_text())
            self.host.run(f"systemd-run --unit=listener python3 /run/listener.py {CLOSED} {OTHER}")
            self.host.run(f"timeout 50 sh -c 'until ss -Hltn sport = :{OTHER} | grep -q .; do sleep 0.1; done'")

    def answer(self, port: int, address: str = ADDRESS, *, kind: str = "tcp", source: LabHost | None = None) -> str:
        """How the host takes a connection: open, refused or silent. From the outsider, unless another is named."""
        words = ["python3", "-", kind, address, str(port)]
        return (source or self.outsider).run(words, stdin=(HERE / "dial.py").read_text()).stdout.strip()

    def takes_vrrp(self, address: str = ADDRESS) -> bool:
        """Whether VRRP packets of the outsider pass, each with a number of its own."""
        mark = str(time.monotonic_ns())
        vrrp = (HERE / "vrrp.py").read_text()
        self.host.run("cat >/run/vrrp.py; rm -f /run/vrrp.heard", stdin=vrrp)
        self.host.run(["systemd-run", "--unit=vrrp", "--collect", "python3", "/run/vrrp.py", "hear", address, mark])
        try:
            self.host.run("timeout 50 sh -c 'until [ -e /run/vrrp.heard ]; do sleep 0.1; done'")
            self.outsider.run(["python3", "-", "say", address, mark], stdin=vrrp)
            return self.host.run("cat /run/vrrp.heard").stdout != ""
        finally:
            self.host.run("systemctl stop vrrp", check=False)

    def table(self) -> str:
        """The firewall's table as the kernel has it, without its counters; empty if there is none."""
        return self.host.run(f"nft --stateless list table {_TABLE} 2>/dev/null || :").stdout

    def other_tables(self) -> list[Any]:
        """Every other table."""
        everything = json.loads(self.host.run("nft --json --stateless list ruleset").stdout)["nftables"]
        ours = "sealed_data_tier"
        return [
            each
            for item in everything
            for kind, each in item.items()
            if kind != "metainfo" and ours not in (each.get("table"), each["name"] if kind == "table" else None)
        ]

    def on_trial(self) -> bool:
        """Whether rules wait to be confirmed, or are just being put back."""
        return self.host.run(_TRIAL).stdout != ""

    def wait_for_trial(self, *, over: bool = False, seconds: float = 60) -> None:
        """Wait until rules are on trial, or are no more.

        Raises:
            TimeoutError: They did not become so.
        """
        deadline = time.monotonic() + seconds
        while self.on_trial() is over:
            if time.monotonic() > deadline:
                raise TimeoutError(self.host.run(_TRIAL).stdout)
            time.sleep(0.2)


@pytest.fixture(scope="package")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Two hosts, none with a firewall; destroyed when the last test of this folder is done."""
    program = (HERE / "program.py").read_text()
    directory = tmp_path_factory.mktemp("firewall")
    # Named as the repository's own project, so that verification finds it.
    project = Project.create(directory, program, lab=LAB["prefix"], name="sealed-data-tier")
    stage = Stage(project, LabHost("guarded", LAB["prefix"]), LabHost("outsider", LAB["prefix"]))
    stage.up({"firewall": False})
    yield stage
    stage.up({"host": False}, check=False)
    project.destroy()


@pytest.fixture
def stage(bare: Stage) -> Stage:
    """The host with one closed port and services behind it."""
    bare.up()
    bare.serve()
    return bare
