"""A NodePort that Kubernetes opens on every address of a worker, closed to all but the tunnels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from lab.machine import LabHost
from tests.integration.firewall.conftest import HERE
from tests.integration.production.conftest import NAME, POLICIES, PROGRAM
from tests.integration.support import Project
from tests.integration.verification.verdict import verify

pytestmark = [pytest.mark.lab, pytest.mark.engine]

LAB: Final[dict[str, Any]] = {
    "prefix": "sdt-firewall-cache",
    "hosts": ["app1", "lb1", "worker1", "outsider"],
    "subnet": "10.203.52.128/25",
    "subnet6": None,
    "cache": {"workers": ["worker1"]},
}
SERVICE: Final[dict[str, Any]] = {
    "applicationHosts": ["app1"],
    "loadBalancer": "lb1",
    "workers": [{"host": "worker1", "localPort": 30378}],
}
PORT: Final = 30379


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """The cache service without a firewall, and a worker whose NodePort everybody reaches."""
    project = Project.create(tmp_path, PROGRAM, {"lab": LAB, "cacheService": SERVICE}, lab=LAB["prefix"], name=NAME)
    project.up()
    worker = LabHost("worker1", LAB["prefix"])
    listen = f"--socket-property=ListenStream={worker.address}:{PORT}"
    worker.run(f"systemd-run --unit=node-port {listen} /usr/lib/systemd/systemd-socket-proxyd 127.0.0.1:{PORT}")
    yield project
    project.destroy()


def test_node_port_is_for_the_tunnels_only(project: Project, tmp_path: Path) -> None:
    worker, outsider = LabHost("worker1", LAB["prefix"]), LabHost("outsider", LAB["prefix"])
    dial = (HERE / "dial.py").read_text()

    def answer() -> str:
        # Valkey waits for the client's first word.
        words = ["python3", "-", "tcp", worker.address, str(PORT), "PING\r\n"]
        return outsider.run(words, stdin=dial).stdout.strip()

    assert answer() == "open"
    assert "answers outsider" in verify(project, tmp_path / "report.json").problems("exposure", "worker1")
    project.configure({"lab": LAB, "cacheService": SERVICE, "firewall": {}})
    project.up(*POLICIES)
    assert answer() == "silent"
    found = verify(project, tmp_path / "report.json")
    assert found.wrong == set(), "traffic still passes, by the tunnels"
    assert ("firewall", "worker1") in {(check["name"], check["host"]) for check in found.checks}
    assert project.up(*POLICIES).unchanged
