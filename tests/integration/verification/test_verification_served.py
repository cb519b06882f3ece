"""Certificates as a real daemon shows them, asked through SSH: the right one, one that is old, one that is due."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from lab.machine import LabHost
from tests.integration.support import Project
from tests.integration.verification.verdict import Verdict, verify

pytestmark = pytest.mark.lab

LAB: Final = "sdt-certs"
# `make verify` asks for the stack by the name of this repository's project.
NAME: Final = "sealed-data-tier"
EXCEPTION: Final = {
    "rule": "haproxy-bind",
    "path": "/etc/haproxy/haproxy.cfg",
    "reason": "clients of this test come from elsewhere",
    "expires": "2999-12-31",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One host that serves TLS; destroyed when all tests are done."""
    program = Path(__file__).with_name("served.py").read_text()
    project = Project.create(tmp_path_factory.mktemp("served"), program, lab=LAB, name=NAME)
    yield project
    project.destroy()


def up(project: Project, *, version: str = "TLSv1.2", **config: Any) -> None:
    """Run `pulumi up`."""
    project.configure({"version": version, **config})
    project.up()


def found(project: Project) -> Verdict:
    """Verify it."""
    policies = project.directory / "policies.json"
    policies.write_text(json.dumps({"bind-to-localhost": {"exceptions": [EXCEPTION]}}))
    return verify(project, project.directory / "verification.json", "--policy-pack-config", str(policies))


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
def test_what_was_written_is_served(project: Project, version: str) -> None:
    up(project, version=version)
    verdict = found(project)
    assert verdict.code == 0, verdict.text
    [check] = [each for each in verdict.checks if each["name"] == "certificates"]
    assert str(check["detail"]).startswith("1 certificate as written: 10.203.53.")


def test_daemon_that_did_not_reload_is_found(project: Project) -> None:
    host = LabHost("server", LAB)
    up(project)
    up(project, certificates={"issue": 2})
    stale = found(project)
    assert "it was not reloaded" in stale.problems("certificates", "server")
    assert stale.wrong == {("certificates", "server")}
    assert stale.code == 1
    host.run(["systemctl", "reload", "haproxy"])
    assert found(project).code == 0


def test_open_renewal_window_is_found(project: Project) -> None:
    up(project, pretendedRenewalDays=91)
    LabHost("server", LAB).run(["systemctl", "reload", "haproxy"])
    verdict = found(project)
    assert "is due for renewal since " in verdict.problems("certificates", "server")
    assert verdict.code == 1


def test_daemon_that_is_down_is_found(project: Project) -> None:
    host = LabHost("server", LAB)
    up(project)
    host.run(["systemctl", "stop", "haproxy"])
    verdict = found(project)
    host.run(["systemctl", "start", "haproxy"])
    assert verdict.problems("certificates", "server").endswith(":6380: Connection refused")
