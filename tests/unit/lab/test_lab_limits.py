"""How many hosts the kernel allows, and what is said where that cannot be changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab import limits


@pytest.fixture
def instances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "max_user_instances"
    path.write_text("128\n")
    monkeypatch.setattr(limits, "_INSTANCES", path)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return path


def test_root_raises_it(instances: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    limits.raise_them()
    assert instances.read_text() == "1024\n"


def test_more_is_left_alone(instances: Path) -> None:
    instances.write_text("8192\n")
    limits.raise_them()
    assert instances.read_text() == "8192\n"


def test_others_are_told_how(
    instances: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    limits.raise_them()
    said = " ".join("".join(capsys.readouterr()).split())
    assert "allows 128 inotify" in said
    assert "sudo sysctl fs.inotify.max_user_instances=1024" in said
    assert instances.read_text() == "128\n"


def test_a_daemon_elsewhere_has_its_own(instances: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    limits.raise_them()
    assert instances.read_text() == "128\n"
