"""Command line of the toolchain: `python -m toolchain [ensure|env|path]`."""

import argparse
import sys

from toolchain import layout
from toolchain.cache import Piece
from toolchain.ensure import ensure
from toolchain.errors import ToolchainError
from toolchain.progress import say

INTERRUPTED = 130  # what shells report for it


def main() -> int:
    """Make the toolchain ready and print what was asked for."""
    parser = argparse.ArgumentParser(prog="toolchain", description=main.__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=["ensure", "env", "path"],
        default="ensure",
        help="ensure: what it consists of (default); env: shell lines that switch to it; path: its bin folder",
    )
    what = parser.parse_args().what
    try:
        ready = ensure()
    except ToolchainError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    match what:
        case "env":
            print((ready.tree / layout.ENVIRONMENT).read_text(), end="")
        case "path":
            print(ready.tree / layout.BIN)
        case _:
            print(*(_line(piece) for piece in ready.pieces), sep="\n")
    return 0


def _line(piece: Piece) -> str:
    source = "official" if piece.source == "official" else "STAND-IN, for where Pulumi's downloads cannot be reached"
    return f"{piece.name:10} {piece.version:8} {source}"


if __name__ == "__main__":
    sys.exit(main())
