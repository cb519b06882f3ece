"""The script `lab/on`, with a docker that only writes down what it was asked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import lab

ON = Path(lab.__file__).parent / "on"

DOCKER = """\
#!/bin/sh
echo "$@" >>"$CALLS"
case "$*" in
*"ps --all --quiet"*"lab=${LAB:-sealed-data-tier} "*host=app1*) echo 0123abc ;;
*"ps --all --quiet"*) ;;
*"ps --all"*) printf 'lb1\\napp1\\n' ;;
exec*) cat; exit 7 ;;
esac
"""


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    docker = tmp_path / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.delenv("SEALED_DATA_TIER_LAB", raising=False)
    return tmp_path


def call(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([ON, *words], input=stdin, capture_output=True, text=True, check=False)


def test_an_unknown_host_is_refused_with_those_there_are(on: Path) -> None:
    done = call("db1", "true")
    assert done.returncode == 64
    assert "lab sealed-data-tier has no host 'db1'; its hosts: app1 lb1" in done.stderr


def test_no_host_at_all_shows_the_usage(on: Path) -> None:
    done = call()
    assert done.returncode == 64
    assert "HOST [COMMAND [ARGUMENT...]]; hosts of lab sealed-data-tier: app1 lb1" in done.stderr


def test_input_and_exit_code_are_the_commands(on: Path) -> None:
    done = call("app1", "cat", "a b", stdin="hello")
    assert (done.returncode, done.stdout) == (7, "hello")
    last = (on / "calls").read_text().splitlines()[-1]
    assert last == "exec --interactive --env HOME=/root --workdir /root 0123abc cat a b"


def test_no_command_is_a_login_shell(on: Path) -> None:
    call("app1")
    assert (on / "calls").read_text().splitlines()[-1].endswith("0123abc bash --login")


def test_another_lab_is_named_by_its_prefix(on: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "lab other has no host 'app1'" in _with(monkeypatch, "sealed-data-tier")
    assert _with(monkeypatch, "other") == ""


def _with(monkeypatch: pytest.MonkeyPatch, existing: str) -> str:
    monkeypatch.setenv("LAB", existing)
    monkeypatch.setenv("SEALED_DATA_TIER_LAB", "other")
    return call("app1", "true").stderr
