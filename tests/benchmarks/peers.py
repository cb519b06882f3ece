"""Ansible and pyinfra in an environment of their own, outside the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.integration.support import ROOT

_REQUIREMENTS: Final = ROOT / "requirements-bench.txt"


def environment() -> Path:
    """Return the folder of the environment, made or brought up to date if need be."""
    cache = os.environ.get("SEALED_DATA_TIER_CACHE") or Path.home() / ".cache" / "sealed-data-tier"
    folder = Path(cache) / "bench-venv"
    installed = folder / "installed.txt"
    pins = _REQUIREMENTS.read_text()
    if not installed.exists() or installed.read_text() != pins:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip: list[str | Path] = [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", _REQUIREMENTS], check=True)
        installed.write_text(pins)
    return folder


def version(package: str) -> str:
    """Return the pinned version of a package."""
    lines = dict(line.split("==") for line in _REQUIREMENTS.read_text().splitlines() if "==" in line)
    return lines[package]
