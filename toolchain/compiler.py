"""Runs the Go compiler, and says how far it is."""

import os
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.progress import Update

SHOWN_LINES = 15  # of a failed build


@dataclass(frozen=True)
class Build:
    """One run of the Go compiler.

    Attributes:
        what: What it makes, for people.
        module: Folder of the Go module.
        linked: For each package to build, what the linker sets: `symbol=value`.
        tags: Build tags.
        static: Whether the programs need no library of the system that they run on.
    """

    what: str
    module: Path
    linked: Mapping[str, tuple[str, ...]]
    tags: tuple[str, ...] = ()
    static: bool = False

    @property
    def flags(self) -> list[str]:
        """Flags of every Go command about it. No path of this machine belongs into a binary."""
        return ["-trimpath", "-buildvcs=false", f"-tags={','.join(self.tags)}"]


def download(builds: Sequence[Build], update: Update) -> None:
    """Download the modules of all packages that go into the builds, and no others, side by side.

    Raises:
        ToolchainError: Go is missing, or could not get them.
    """
    with ThreadPoolExecutor() as pool:
        downloaded = count(1)
        for done in [pool.submit(_download, one, downloaded, update) for one in builds]:
            done.result()


def _download(build: Build, downloaded: Iterator[int], update: Update) -> None:
    def follow(line: str) -> None:
        if line.startswith("go: downloading"):
            update(f"{next(downloaded)} downloaded")

    _follow(build, ["list", "-deps", *build.flags, "-f", "", *build.linked], follow)


def compile_into(out: Path, build: Build, update: Update) -> None:
    """Compile all packages of a build into a folder.

    Raises:
        ToolchainError: They do not compile.
    """
    stale = go(build, "list", "-deps", *build.flags, "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", *build.linked)
    total = len(stale.split())
    compiled = count(1)

    def follow(_line: str) -> None:
        done = next(compiled)
        update(f"compiled {done} of {total} packages" if done < total else "linking")

    flags = [
        f"-ldflags={package}={' '.join(['-s', '-w', *(f'-X {symbol}' for symbol in linked)])}"
        for package, linked in build.linked.items()
    ]
    _follow(build, ["build", "-v", *build.flags, *flags, f"-o={out}/", *build.linked], follow)


def go(build: Build, *arguments: str) -> str:
    """Run Go in a build's module and return what it prints.

    Raises:
        ToolchainError: Go is missing or failed.
    """
    with _start(build, [*arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        printed, said = process.communicate()
    _check(build, [*arguments], process.returncode, said)
    return printed


def _follow(build: Build, arguments: list[str], follow: Callable[[str], None]) -> None:
    """Run Go and hand on each line of what it says about its work."""
    last: deque[str] = deque(maxlen=SHOWN_LINES)
    with _start(build, arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        for line in process.stderr or ():
            last.append(line)
            follow(line)
    _check(build, arguments, process.returncode, "".join(last))


def _start(build: Build, arguments: list[str], *, stdout: int, stderr: int) -> subprocess.Popen[str]:
    # The checksums in go.sum decide what is built: nothing may change them, or bring in other sources.
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    if build.static:
        environment["CGO_ENABLED"] = "0"
    command = ["go", *arguments]
    try:
        return subprocess.Popen(command, cwd=build.module, env=environment, stdout=stdout, stderr=stderr, text=True)
    except FileNotFoundError:
        raise ToolchainError(
            f"{build.what}: this cannot be downloaded, and to build it Go is missing: install Go 1.26 or newer and put "
            "its bin folder on PATH, or let this machine reach the downloads"
        ) from None


def _check(build: Build, arguments: list[str], code: int, said: str) -> None:
    if code:
        raise ToolchainError(f"go {arguments[0]} in {build.module} failed:\n{said.rstrip()}")
