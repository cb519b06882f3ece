"""Builds what stands in for official releases, where only package registries can be reached."""

import os
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.layout import BIN, plugin_binary
from toolchain.progress import Report, Update
from toolchain.versions import HERE, Versions

CLI_MODULE = HERE / "cli"
CLI_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
CLI_VERSION = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"

PLUGINS_MODULE = HERE / "plugins"
PLUGINS_PATH = "sealed-data-tier.example/plugins"
PLUGIN_VERSION = "main.version"

HOST = "pulumi-language-python"
SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
EXECUTOR = Path("python/cmd/pulumi-language-python-exec")

# no_compose leaves Docker Compose out of the Docker provider. No path of this machine belongs into a binary.
FLAGS = ["-trimpath", "-buildvcs=false", "-tags=no_compose"]

SHOWN_LINES = 15  # of a failed build


@dataclass(frozen=True)
class Build:
    """One run of the Go compiler.

    Attributes:
        what: What it makes, for people.
        module: Folder of the Go module.
        linked: For each package to build, what the linker sets: `symbol=value`.
    """

    what: str
    module: Path
    linked: dict[str, str]


def build(tree: Path, versions: Versions, report: Report, *, cli: bool, plugins: list[str]) -> None:
    """Build the CLI with its Python host, if asked for, and the stand-ins of the named plugins.

    Modules are downloaded side by side, and compiled one build after the other: each keeps all processors busy, and
    the second finds compiled what it shares with the first, which is half of it.
    """
    binaries = {f"pulumi-resource-{name}": versions.plugins[name] for name in plugins}
    builds = []
    if cli:
        binaries[HOST] = versions.cli
        what = f"Pulumi CLI {versions.cli} from its Go module"
        builds.append(Build(what, CLI_MODULE, {CLI_PACKAGE: f"{CLI_VERSION}=v{versions.cli}"}))
    linked = {f"{PLUGINS_PATH}/{name}": f"{PLUGIN_VERSION}={version}" for name, version in binaries.items()}
    names = ", ".join(name.rpartition("-")[2] for name in binaries)
    builds.append(Build(f"stand-ins for {names}", PLUGINS_MODULE, linked))

    with report.doing("Go modules") as update, ThreadPoolExecutor() as pool:
        downloaded = count(1)
        for done in [pool.submit(_download, one, downloaded, update) for one in builds]:
            done.result()
    out = tree / BIN
    out.mkdir(exist_ok=True)
    for one in builds:
        with report.doing(one.what) as update:
            _compile(one, out, update)

    for name in plugins:
        destination = tree / plugin_binary(name, versions.plugins[name])
        destination.parent.mkdir(parents=True, exist_ok=True)
        (out / destination.name).rename(destination)
    if cli:
        sdk = _go(PLUGINS_MODULE, "list", "-m", "-f", "{{.Dir}}", SDK_MODULE)
        shutil.copyfile(Path(sdk.strip()) / EXECUTOR, out / EXECUTOR.name)


def _download(build: Build, downloaded: Iterator[int], update: Update) -> None:
    """Download the modules of all packages that go into a build, and no others."""

    def follow(line: str) -> None:
        if line.startswith("go: downloading"):
            update(f"{next(downloaded)} downloaded")

    _follow(build.module, ["list", "-deps", *FLAGS, "-f", "", *build.linked], follow)


def _compile(build: Build, out: Path, update: Update) -> None:
    stale = _go(build.module, "list", "-deps", *FLAGS, "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", *build.linked)
    total = len(stale.split())
    compiled = count(1)

    def follow(_line: str) -> None:
        done = next(compiled)
        update(f"compiled {done} of {total} packages" if done < total else "linking")

    flags = [f"-ldflags={package}=-s -w -X {linked}" for package, linked in build.linked.items()]
    _follow(build.module, ["build", "-v", *FLAGS, *flags, f"-o={out}/", *build.linked], follow)


def _follow(module: Path, arguments: list[str], follow: Callable[[str], None]) -> None:
    """Run Go and hand on each line of what it says about its work."""
    last: deque[str] = deque(maxlen=SHOWN_LINES)
    with _start(module, arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        for line in process.stderr or ():
            last.append(line)
            follow(line)
    _check(module, arguments, process.returncode, "".join(last))


def _go(module: Path, *arguments: str) -> str:
    """Run Go and return what it prints."""
    with _start(module, [*arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        printed, said = process.communicate()
    _check(module, [*arguments], process.returncode, said)
    return printed


def _start(module: Path, arguments: list[str], *, stdout: int, stderr: int) -> subprocess.Popen[str]:
    # The checksums in go.sum decide what is built: nothing may change them, or bring in other sources.
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    command = ["go", *arguments]
    try:
        return subprocess.Popen(command, cwd=module, env=environment, stdout=stdout, stderr=stderr, text=True)
    except FileNotFoundError:
        raise ToolchainError(
            "Pulumi's downloads cannot be reached, and to build what stands in for them Go is missing: "
            "install Go 1.25 or newer and put its bin folder on PATH, or let this machine reach the downloads"
        ) from None


def _check(module: Path, arguments: list[str], code: int, said: str) -> None:
    if code:
        raise ToolchainError(f"go {arguments[0]} in {module} failed:\n{said.rstrip()}")
