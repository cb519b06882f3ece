"""Builds what stands in for official releases, where only package registries can be reached."""

import shutil
from pathlib import Path

from toolchain.compiler import Build, compile_into, download, go
from toolchain.layout import BIN, plugin_binary
from toolchain.progress import Report
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

TAGS = ("no_compose",)  # leaves Docker Compose out of the Docker provider


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
        builds.append(Build(what, CLI_MODULE, {CLI_PACKAGE: (f"{CLI_VERSION}=v{versions.cli}",)}))
    linked = {f"{PLUGINS_PATH}/{name}": (f"{PLUGIN_VERSION}={version}",) for name, version in binaries.items()}
    names = ", ".join(name.rpartition("-")[2] for name in binaries)
    plugin_build = Build(f"stand-ins for {names}", PLUGINS_MODULE, linked, TAGS)
    builds.append(plugin_build)

    with report.doing("Go modules") as update:
        download(builds, update)
    out = tree / BIN
    out.mkdir(exist_ok=True)
    for one in builds:
        with report.doing(one.what) as update:
            compile_into(out, one, update)

    for name in plugins:
        destination = tree / plugin_binary(name, versions.plugins[name])
        destination.parent.mkdir(parents=True, exist_ok=True)
        (out / destination.name).rename(destination)
    if cli:
        sdk = go(plugin_build, "list", "-m", "-f", "{{.Dir}}", SDK_MODULE)
        shutil.copyfile(Path(sdk.strip()) / EXECUTOR, out / EXECUTOR.name)
