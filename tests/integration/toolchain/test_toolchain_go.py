"""The tests of the Go programs themselves."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from toolchain import standins

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not shutil.which("go"), reason="with official releases, Go is not needed"),
]


def test_go_programs() -> None:
    done = subprocess.run(
        ["go", "test", f"-tags={','.join(standins.TAGS)}", "-trimpath", "./..."],
        cwd=standins.PLUGINS_MODULE,
        env={**os.environ, "GOFLAGS": "-mod=readonly"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_go_programs_are_formatted() -> None:
    done = subprocess.run(["gofmt", "-l", "."], cwd=standins.PLUGINS_MODULE, capture_output=True, text=True, check=True)
    assert done.stdout == ""
