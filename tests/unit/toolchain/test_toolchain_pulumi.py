"""`toolchain/pulumi` finds a toolchain that is ready by itself, and changes nothing that is the caller's."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from toolchain import cache, layout
from toolchain.cache import Piece, Source
from toolchain.versions import HERE

# Prints its arguments and the variables that concern Pulumi.
FAKE_CLI = """\
#!/bin/sh
printf '%s\\n' "$@"
env | grep ^PULUMI_
"""


def make_ready(source: Source) -> Path:
    folder = cache.folder()
    pieces = (Piece("cli", "1.2.3", source),)
    tree = folder / cache.tree_name(pieces)
    (tree / layout.BIN).mkdir(parents=True)
    (tree / layout.BIN / "pulumi").write_text(FAKE_CLI)
    (tree / layout.BIN / "pulumi").chmod(0o755)
    (tree / layout.ENVIRONMENT).write_text(layout.exports(tree))
    cache.write(folder, pieces)
    return tree


def pulumi(*arguments: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
    done = subprocess.run(
        [HERE / "pulumi", *arguments], env=kept | environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_it_runs_the_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALED_DATA_TIER_CACHE", str(tmp_path / "with a space"))
    tree = make_ready("official")
    lines = pulumi("up", "a b", HOME="/home/x", PULUMI_BACKEND_URL="file:///b").splitlines()
    assert lines[:2] == ["up", "a b"]
    assert sorted(lines[2:]) == [
        "PULUMI_BACKEND_URL=file:///b",
        "PULUMI_CREDENTIALS_PATH=/home/x/.pulumi",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true",
        f"PULUMI_HOME={tree}/home",
        "PULUMI_IGNORE_AMBIENT_PLUGINS=true",
        "PULUMI_SKIP_UPDATE_CHECK=1",
    ]


def test_logins_stay_where_they_are() -> None:
    make_ready("official")
    assert "PULUMI_CREDENTIALS_PATH=/h\n" in pulumi("x", PULUMI_HOME="/h")
    assert "PULUMI_CREDENTIALS_PATH=/c\n" in pulumi("x", PULUMI_HOME="/h", PULUMI_CREDENTIALS_PATH="/c")


@pytest.mark.parametrize(
    ("source", "minutes", "asks"), [("official", 100, False), ("stand-in", 50, False), ("stand-in", 70, True)]
)
def test_stand_ins_are_questioned_every_hour(source: Source, minutes: int, asks: bool) -> None:
    make_ready(source)
    ready = cache.folder() / "ready"
    then = time.time() - minutes * 60
    os.utime(ready, (then, then))
    assert "x\n" in pulumi("x")
    assert (ready.stat().st_mtime > then + 60) is asks


def test_other_downloads_make_another_toolchain(monkeypatch: pytest.MonkeyPatch) -> None:
    one = cache.folder()
    monkeypatch.setenv("SEALED_DATA_TIER_PULUMI_DOWNLOADS", "http://127.0.0.1:2")
    assert cache.folder() != one
