"""Decides, piece by piece, between an official release and what stands in for it, and makes the toolchain ready."""

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from toolchain import cache, layout, official, standins, versions
from toolchain.cache import Piece, Ready
from toolchain.official import Downloads, UnavailableError
from toolchain.progress import Report, report, say
from toolchain.versions import Versions

CLI = "cli"

# How long to wait for an answer of Pulumi's downloads, in seconds. Most networks without a way to them say so at once.
PATIENCE = 5.0
PATIENCE_WITH_STAND_INS = 0.8  # they can be used; the official releases are found the next time


def ensure() -> Ready:
    """Return the toolchain, after having made it if need be.

    Whoever finds stand-ins asks again for the official releases, and takes these once they can be had.

    Raises:
        ToolchainError: It cannot be made.
    """
    folder = cache.folder()
    with cache.lock(folder, waiting=lambda: say("another run is making it; waiting for that")):
        ready = cache.read(folder)
        if ready and ready.official:
            return ready
        pinned = versions.load()
        downloads = official.find(pinned, PATIENCE_WITH_STAND_INS if ready else PATIENCE)
        if ready and not downloads:
            (folder / "ready").touch()  # asked and answered, for now
            return ready
        say(f"Pulumi's downloads {f'answer at {downloads.folder}' if downloads else 'cannot be reached'}")
        return _make(folder, pinned, downloads)


def _make(folder: Path, pinned: Versions, downloads: Downloads | None) -> Ready:
    for abandoned in folder.glob(".making-*"):
        shutil.rmtree(abandoned)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as made, report() as told:
        draft = Path(made) / "tree"
        draft.mkdir()
        stand_ins = _fill(draft, pinned, downloads, told)
        pieces = tuple(
            Piece(name, version, "stand-in" if name in stand_ins else "official")
            for name, version in {CLI: pinned.cli, **pinned.plugins}.items()
        )
        tree = folder / cache.tree_name(pieces)
        _make_home(draft / layout.HOME, folder.parent / "workspaces")
        (draft / layout.ENVIRONMENT).write_text(layout.exports(tree))
        if not tree.exists():
            draft.rename(tree)
        cache.write(folder, pieces)
    return Ready(tree, pieces)


def _make_home(home: Path, workspaces: Path) -> None:
    home.mkdir(exist_ok=True)
    # All toolchains share the folder in which the CLI notes the selected stack of each project.
    workspaces.mkdir(exist_ok=True)
    (home / "workspaces").symlink_to(workspaces)
    # The CLI keeps a log of every command with every property in it, secrets too: encrypted, but a copy of all keys a
    # command, MiBs each, and half of its time with many hosts. It has no switch for it, but does without where `logs`
    # is no directory. `-v=9 --logtostderr` works as ever.
    (home / "logs").touch()


def _fill(tree: Path, pinned: Versions, downloads: Downloads | None, told: Report) -> set[str]:
    """Fill the tree and return the names of those pieces for which a stand-in was built."""
    if not downloads:
        standins.build(tree, pinned, told, cli=True, plugins=list(pinned.plugins))
        return {CLI, *pinned.plugins}

    stand_ins: set[str] = set()

    def fetch(name: str, get: Callable[[], None]) -> None:
        try:
            get()
        except UnavailableError as error:
            say(f"{error}: building a STAND-IN")
            stand_ins.add(name)

    fetch(CLI, lambda: official.fetch_cli(tree, downloads, told))
    if CLI in stand_ins:
        standins.build(tree, pinned, told, cli=True, plugins=[])
    with ThreadPoolExecutor() as pool:
        for fetched in [
            pool.submit(fetch, name, partial(official.fetch_plugin, tree, name, version, told))
            for name, version in pinned.plugins.items()
        ]:
            fetched.result()
    if missing := sorted(stand_ins - {CLI}):
        standins.build(tree, pinned, told, cli=False, plugins=missing)
    return stand_ins
