"""How a toolchain's tree is laid out, so that the CLI finds everything without being told."""

import shlex
from pathlib import Path

BIN = Path("bin")
HOME = Path("home")
ENVIRONMENT = Path("environment")


def plugin_binary(name: str, version: str) -> Path:
    """Return where the CLI looks for a resource plugin of exactly this version."""
    return HOME / "plugins" / f"resource-{name}-v{version}" / f"pulumi-resource-{name}"


def exports(tree: Path) -> str:
    """Return shell lines that make a shell use the tree.

    Backend and passphrase are the caller's. Logins stay where they were, so that they outlive this toolchain. Plugins
    elsewhere on PATH are not used, and missing ones are not downloaded in passing.
    """
    return f"""\
export PATH={shlex.quote(str(tree / BIN))}"${{PATH:+:$PATH}}"
export PULUMI_CREDENTIALS_PATH="${{PULUMI_CREDENTIALS_PATH:-${{PULUMI_HOME:-$HOME/.pulumi}}}}"
export PULUMI_HOME={shlex.quote(str(tree / HOME))}
export PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true
export PULUMI_IGNORE_AMBIENT_PLUGINS=true
export PULUMI_SKIP_UPDATE_CHECK=1
"""
