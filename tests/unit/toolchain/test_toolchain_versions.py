"""Versions are pinned once, and whatever has to agree with them does."""

from __future__ import annotations

import re

import pytest

from toolchain.versions import HERE, Versions

REPOSITORY = HERE.parent


def test_plugins_are_those_of_the_python_packages(pinned: Versions) -> None:
    pins = dict(re.findall(r"^pulumi-(\w+)==(\S+)", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE))
    assert pinned.plugins == {name: pins[name] for name in pinned.plugins}


@pytest.mark.parametrize("module", ["cli", "plugins"])
def test_go_modules_build_the_pinned_version(pinned: Versions, module: str) -> None:
    required = re.findall(r"github.com/pulumi/pulumi/(?:pkg|sdk)/v3 v(\S+)", (HERE / module / "go.mod").read_text())
    assert set(required) == {pinned.cli}
