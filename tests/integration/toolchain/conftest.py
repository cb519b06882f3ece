"""Fixtures of the toolchain's tests on the real engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.toolchain.engine import Project, Sshd, start_sshd
from toolchain.ensure import ensure


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server, process = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    process.terminate()
    process.wait()


@pytest.fixture
def only_stand_in() -> Callable[[str], None]:
    """Return what skips a test of behaviour that only the stand-in of a piece has."""
    sources = {piece.name: piece.source for piece in ensure().pieces}

    def skip(piece: str) -> None:
        if sources[piece] == "official":
            pytest.skip(f"{piece} is the official release")

    return skip
