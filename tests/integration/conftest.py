"""What integration tests share: the dev stack, up, and its hosts."""

from __future__ import annotations

import pytest

from lab.machine import LabHost, hosts
from tests.integration.support import Project


class DevStack:
    """The dev stack while it is up."""

    def __init__(self) -> None:
        self.project = Project.dev()
        self.project.up()
        self.hosts = hosts()

    def host(self, name: str) -> LabHost:
        """One of its hosts."""
        return self.hosts[name]


@pytest.fixture(scope="session")
def lab() -> DevStack:
    """Bring the dev stack up, once, and leave it up: the next run starts from there."""
    return DevStack()
