"""What integration tests share: the dev stack, up, and its hosts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from lab.machine import LabHost, hosts
from tests.integration.support import Project

_HERE: Final = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before xdist reads the mark
def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """A folder's tests share a lab: with several workers, one of them has the whole folder."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group(item.path.relative_to(_HERE).parts[0]))


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
