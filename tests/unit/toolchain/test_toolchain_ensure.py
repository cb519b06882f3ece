"""An official release is taken wherever it can be had, a stand-in nowhere else, and both are named."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from tests.unit.toolchain.conftest import Downloads
from toolchain import __main__ as command_line
from toolchain import cache, layout, standins
from toolchain.cache import Piece, Ready
from toolchain.ensure import ensure
from toolchain.errors import ToolchainError
from toolchain.versions import Versions

PIECES = ["cli", "command", "docker", "kubernetes", "tls"]


def sources(ready: Ready) -> dict[str, str]:
    return {piece.name: piece.source for piece in ready.pieces}


@pytest.mark.usefixtures("builds")
def test_where_nothing_answers_all_is_built(builds: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    ready = ensure()
    assert sources(ready) == dict.fromkeys(PIECES, "stand-in")
    assert sorted(builds) == PIECES
    assert "Pulumi's downloads cannot be reached" in capsys.readouterr().err
    assert ensure() == ready
    assert len(builds) == len(PIECES)


def test_where_downloads_answer_nothing_is_built(
    pinned: Versions, downloads: Downloads, archive: str, builds: list[str]
) -> None:
    downloads.publish(archive, pinned.cli)
    ready = ensure()
    assert ready.official
    assert builds == []
    assert (ready.tree / layout.BIN / "pulumi-language-python").exists()
    for name, version in pinned.plugins.items():
        assert (ready.tree / layout.plugin_binary(name, version)).read_text() == "official\n"

    # Who has the official releases need not ask again.
    downloads.requests.clear()
    assert ensure() == ready
    assert downloads.requests == []


def test_stand_ins_give_way_to_official_releases(
    pinned: Versions, downloads: Downloads, archive: str, builds: list[str]
) -> None:
    before = ensure()
    assert sources(before)["cli"] == "stand-in"
    downloads.publish(archive, pinned.cli)
    ready = ensure()
    assert ready.official
    assert ready.tree != before.tree
    assert before.tree.exists()  # somebody may be using it

    downloads.files.clear()
    assert ensure() == ready
    assert len(builds) == len(PIECES)


def test_what_is_missing_is_built_and_said(
    pinned: Versions, downloads: Downloads, archive: str, builds: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    downloads.publish(archive, pinned.cli)
    downloads.without_plugins("docker")
    ready = ensure()
    assert sources(ready) == {**dict.fromkeys(PIECES, "official"), "docker": "stand-in"}
    assert builds == ["docker"]
    said = capsys.readouterr().err
    assert f"plugin docker {pinned.plugins['docker']}: error: 404 HTTP error" in said
    assert "building a STAND-IN" in said


def test_a_download_that_breaks_off(pinned: Versions, downloads: Downloads, archive: str, builds: list[str]) -> None:
    downloads.publish(archive, pinned.cli)
    del downloads.files[f"/{archive}"]
    ready = ensure()
    assert sources(ready) == {**dict.fromkeys(PIECES, "official"), "cli": "stand-in"}
    assert builds == ["cli"]


def test_a_failed_run_leaves_nothing(
    pinned: Versions, downloads: Downloads, archive: str, builds: list[str], cache_folder: Path
) -> None:
    downloads.publish(archive, pinned.cli)
    downloads.files[f"/{archive}"] += b"more"
    with pytest.raises(ToolchainError):
        ensure()
    assert [file.name for file in cache_folder.glob("toolchain/*/*")] == ["lock"]
    abandoned = cache.folder() / ".making-before"
    abandoned.mkdir()
    downloads.publish(archive, pinned.cli)
    assert ensure().official
    assert not abandoned.exists()
    assert builds == []


def test_two_at_once_make_it_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    started, built = threading.Event(), []

    def build(*_: object, **__: object) -> None:
        started.set()
        time.sleep(0.3)
        built.append("all")

    monkeypatch.setattr(standins, "build", build)
    first = threading.Thread(target=ensure)
    first.start()
    started.wait()
    ready = ensure()
    first.join()
    assert built == ["all"]
    assert ready.tree.exists()
    assert "another run is making it" in capsys.readouterr().err


def test_without_go_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolchainError, match=r"Go is missing: install Go .* or let this machine reach the downloads"):
        ensure()


def test_a_broken_build_tells_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "go").write_text("#!/bin/sh\necho 'go: downloading x' >&2; echo 'x.go:1: wrong' >&2; exit 1\n")
    (tmp_path / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ToolchainError, match=r"go list in .* failed:\n.*\nx\.go:1: wrong"):
        ensure()


@pytest.mark.usefixtures("builds")
def test_command_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["toolchain", *arguments])
        assert command_line.main() == 0
        return capsys.readouterr().out

    lines = run().splitlines()
    assert len(lines) == len(PIECES)
    assert all("STAND-IN" in line for line in lines)
    tree = ensure().tree
    assert run("path") == f"{tree}/bin\n"
    assert run("env") == layout.exports(tree)


def test_command_line_shows_errors_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.argv", ["toolchain"])
    assert command_line.main() == 1
    assert "Go is missing" in capsys.readouterr().err


def test_what_is_ready_is_read_as_it_was_written(tmp_path: Path) -> None:
    pieces = (Piece("cli", "1.2.3", "official"), Piece("tls", "4.5.6", "stand-in"))
    assert cache.read(tmp_path) is None
    cache.write(tmp_path, pieces)
    assert cache.read(tmp_path) == Ready(tmp_path / "stand-in-tls", pieces)
