"""The ports of a Redis group are for its peers and its clients, and follow its settings."""

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
    "prefix": "sdt-firewall-redis",
    "hosts": ["redis1", "redis2", "redis3", "app1", "outsider"],
    "subnet": "10.203.57.0/24",
    "subnet6": None,
    "cache": None,
}
GROUP: Final[dict[str, Any]] = {
    "name": "orders",
    "topology": "sentinel",
    "nodes": [{"host": f"redis{number}"} for number in (1, 2, 3)],
    "clients": ["10.203.57.14"],
}
PLAINTEXT: Final = {"because": "the batch system moves in March", "until": "2099-03-31"}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A stack without anything on its hosts."""
    project = Project.create(tmp_path, PROGRAM, {"lab": LAB}, lab=LAB["prefix"], name=NAME)
    yield project
    project.destroy()


def reaches(host: str, ports: tuple[int, ...]) -> dict[int, bool]:
    """Which ports of redis1 a host reaches."""
    address = LabHost("redis1", LAB["prefix"]).address
    dial = (HERE / "dial.py").read_text()
    words = {port: ["python3", "-", "tcp", address, str(port), "PING\r\n"] for port in ports}
    answers = {port: LabHost(host, LAB["prefix"]).run(words[port], stdin=dial).stdout.strip() for port in ports}
    return {port: answer != "silent" for port, answer in answers.items()}


def test_ports_are_for_peers_and_clients(project: Project, tmp_path: Path) -> None:
    dual = {**GROUP, "port": 6380, "tls": {"plaintext": PLAINTEXT}}
    project.configure({"lab": LAB, "redis": [dual], "firewall": {}})
    project.up(*POLICIES)
    everything = (6379, 6380, 26379)
    assert reaches("app1", everything) == {6379: True, 6380: True, 26379: True}
    assert reaches("redis2", everything) == {6379: False, 6380: True, 26379: True}
    assert reaches("outsider", everything) == dict.fromkeys(everything, False)

    project.configure({"lab": LAB, "redis": [{**GROUP, "port": 6380}], "firewall": {}})
    project.up(*POLICIES)
    rules = LabHost("redis1", LAB["prefix"]).run("nft list table inet sealed_data_tier").stdout
    assert "dport 6379" not in rules
    assert reaches("redis2", (6380, 26379)) == {6380: True, 26379: True}
    assert reaches("outsider", (6380, 26379)) == {6380: False, 26379: False}
    found = verify(project, tmp_path / "report.json")
    assert found.wrong == set(), found.text
    assert project.up(*POLICIES).unchanged

    # The port of a group that runs does not move; nothing is changed.
    project.configure({"lab": LAB, "redis": [GROUP], "firewall": {}})
    refused = project.up(check=False)
    assert "this group runs on port 6380, which cannot change to 6379 node by node" in refused.text
