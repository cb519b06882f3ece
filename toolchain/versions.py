"""The pinned versions."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Versions:
    """What the toolchain consists of.

    Attributes:
        cli: Version of the CLI and of the Python host that comes with it.
        plugins: Version of each resource plugin, by name.
    """

    cli: str
    plugins: dict[str, str]


def load(file: Path = HERE / "versions.toml") -> Versions:
    """Read the pinned versions."""
    return Versions(**tomllib.loads(file.read_text()))
