"""Official releases are found, checked, and never confused with anything else."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.unit.toolchain.conftest import Downloads
from toolchain import layout, official
from toolchain.errors import ToolchainError
from toolchain.progress import Report
from toolchain.versions import Versions

SILENT = Report(None)


def test_nothing_answers(pinned: Versions) -> None:
    assert official.find(pinned, patience=3600) is None  # a refusal is an answer: nothing is waited for


def test_somebody_is_silent(pinned: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv(official.DOWNLOADS_VARIABLE, f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert official.find(pinned, patience=0.3) is None


def test_somebody_else_answers(pinned: Versions, downloads: Downloads) -> None:
    downloads.files[f"/pulumi-{pinned.cli}-checksums.txt"] = b"<html>Please log in to this network</html>"
    assert official.find(pinned, patience=5) is None


def test_they_answer(pinned: Versions, downloads: Downloads, archive: str) -> None:
    downloads.publish(archive, pinned.cli)
    found = official.find(pinned, patience=5)
    assert found
    assert (found.folder, found.archive, len(found.sha256)) == (downloads.url, archive, 64)


def test_what_was_changed_on_its_way_is_not_used(
    tmp_path: Path, pinned: Versions, downloads: Downloads, archive: str
) -> None:
    downloads.publish(archive, pinned.cli)
    downloads.files[f"/{archive}"] += b"more"
    found = official.find(pinned, patience=5)
    assert found
    with pytest.raises(ToolchainError, match=rf"has the SHA-256 \w+, but {found.sha256} was published.*try again"):
        official.fetch_cli(tmp_path, found, SILENT)
    assert not (tmp_path / layout.BIN).exists()


def test_both_official_folders_are_asked(pinned: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ask(folder: str, _archive: str, _version: str, _patience: float) -> None:
        asked.append(folder)

    monkeypatch.delenv(official.DOWNLOADS_VARIABLE)
    monkeypatch.setattr(official, "_ask", ask)
    assert official.find(pinned, patience=5) is None
    assert len(asked) == 2
    assert f"https://github.com/pulumi/pulumi/releases/download/v{pinned.cli}" in asked
