"""Where toolchains are kept, and how it is told that one is ready.

A toolchain lies in `<cache>/toolchain/<digest>/`; the digest covers all that goes into it. The file `ready` there
names the tree to use and, line by line, where each piece of it came from. It is written last and in one stroke.
`toolchain/pulumi` computes the same digest and reads the same file, in a few milliseconds and without Python.
"""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from toolchain.official import DOWNLOADS_VARIABLE
from toolchain.versions import HERE

CACHE_VARIABLE = "SEALED_DATA_TIER_CACHE"

Source = Literal["official", "stand-in"]


@dataclass(frozen=True)
class Piece:
    """One part of a toolchain and where it came from."""

    name: str
    version: str
    source: Source


@dataclass(frozen=True)
class Ready:
    """A toolchain that can be used.

    Attributes:
        tree: Folder with bin/, home/ (PULUMI_HOME) and the file `environment`.
        pieces: What it consists of.
    """

    tree: Path
    pieces: tuple[Piece, ...]

    @property
    def official(self) -> bool:
        """Whether no piece is a stand-in."""
        return all(piece.source == "official" for piece in self.pieces)


def digest() -> str:
    """Return the digest of all that goes into a toolchain: this folder, the platform, and where downloads come from."""
    files = sorted(
        f"./{file.relative_to(HERE)}"
        for file in HERE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and not file.name.endswith(("_test.go", ".md"))
    )
    lines = [
        *(f"{hashlib.sha256((HERE / file).read_bytes()).hexdigest()}  {file}" for file in files),
        f"{os.uname().sysname} {os.uname().machine}",
        os.environ.get(DOWNLOADS_VARIABLE, ""),
    ]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def folder() -> Path:
    """Return the folder of the toolchain that the present inputs make."""
    cache = os.environ.get(CACHE_VARIABLE) or "~/.cache/sealed-data-tier"
    return Path(cache).expanduser().absolute() / "toolchain" / digest()[:16]


def tree_name(pieces: tuple[Piece, ...]) -> str:
    """Return a tree's name: it tells the stand-ins, so that they never take the place of official releases."""
    stand_ins = [piece.name for piece in pieces if piece.source == "stand-in"]
    return "-".join(["stand-in", *stand_ins]) if stand_ins else "official"


def read(folder: Path) -> Ready | None:
    """Return the toolchain in the folder, or None if there is none yet."""
    try:
        tree, *lines = (folder / "ready").read_text().splitlines()
    except FileNotFoundError:
        return None
    parts = [line.split() for line in lines]
    pieces = tuple(Piece(name, version, cast("Source", source)) for name, version, source in parts)
    return Ready(folder / tree, pieces)


def write(folder: Path, pieces: tuple[Piece, ...]) -> None:
    """Declare ready the tree that consists of the pieces."""
    draft = folder / "ready.new"
    lines = [tree_name(pieces), *(f"{piece.name} {piece.version} {piece.source}" for piece in pieces)]
    draft.write_text("".join(f"{line}\n" for line in lines))
    draft.rename(folder / "ready")


@contextmanager
def lock(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Keep others from changing the folder at the same time.

    Args:
        folder: Made if it does not exist.
        waiting: Called if somebody else is at work there, before waiting for the end of it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
