"""What is said where Docker cannot be had, and which daemon counts as started by the lab."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab import daemon
from lab.console import LabError


@pytest.fixture(autouse=True)
def no_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEALED_DATA_TIER_CACHE", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(daemon, "version", lambda: None)
    return tmp_path


def test_a_daemon_elsewhere_is_never_replaced_by_one_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    with pytest.raises(LabError, match=r"no Docker daemon answers there\. Start that one or unset DOCKER_HOST"):
        daemon.ensure()


def test_whoever_is_not_root_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match=r"usermod -aG docker"):
        daemon.ensure()


def test_packages_are_only_installed_with_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LabError, match=r"Install docker\.io yourself"):
        daemon.install_debian_packages("Docker is missing", "docker.io")


@pytest.mark.parametrize(
    "content",
    ["", "no number", "999999999", str(os.getpid())],
    ids=["nothing", "words", "nobody", "another process"],
)
def test_a_process_that_is_no_dockerd_was_not_started_here(no_daemon: Path, content: str) -> None:
    (no_daemon / "lab").mkdir()
    (no_daemon / "lab" / "dockerd.pid").write_text(content)
    assert daemon.started_here() is None
    daemon.stop()


def test_a_daemon_that_ends_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = tmp_path / "dockerd"
    failing.write_text("#!/bin/sh\necho no such storage driver\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(daemon, "_SYSTEMD", tmp_path / "missing")
    with pytest.raises(LabError, match=r"dockerd ended:\nno such storage driver"):
        daemon._start()
