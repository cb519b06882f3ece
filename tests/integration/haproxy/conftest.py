"""Two lab hosts for HAProxy, and the stage on the first of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from lab.machine import LabHost
from tests.integration.haproxy.stage import Stage
from tests.integration.support import Project

LAB: Final = "sdt-haproxy"
_PROGRAM: Final = Path(__file__).with_name("program.py")


@pytest.fixture(scope="package")
def load_balancers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LabHost, LabHost]]:
    """Two hosts without any role; destroyed when the last test of this folder is done."""
    project = Project.create(tmp_path_factory.mktemp("haproxy"), _PROGRAM.read_text(), lab="sdt-haproxy")
    project.up()
    hosts = LabHost("lb1", LAB), LabHost("lb2", LAB)
    yield hosts
    project.destroy()


@pytest.fixture(scope="package")
def _stage(load_balancers: tuple[LabHost, LabHost]) -> Stage:
    stage = Stage(load_balancers[0])
    stage.set_up()
    return stage


@pytest.fixture
def stage(_stage: Stage) -> Stage:
    """HAProxy in front of two caches, everything well."""
    _stage.apply()
    _stage.heal()
    return _stage
