"""A lab with a cluster leaves nothing behind, and every image that a lab made is found."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from lab import images
from tests.integration.cluster.stack import PREFIX, Cluster, machine, why

pytestmark = pytest.mark.engine


def test_nothing_is_left_when_it_is_destroyed(cluster: Cluster) -> None:
    volumes = _volumes()
    assert volumes
    cluster.project.destroy()
    for kind in (["ps", "--all"], ["network", "ls"], ["volume", "ls"]):
        assert not _docker(*kind, "--quiet", f"--filter=label=sealed-data-tier.lab={PREFIX}")
    assert not volumes & set(_docker("volume", "ls", "--quiet").split())
    assert machine() == cluster.before
    assert why() == (
        1,
        f"lab: lab {PREFIX!r} has no cluster: set lab.cluster, or name another lab (python -m lab status)\n",
    )
    cluster.project.up()
    assert why()[0] == 0


@pytest.mark.parametrize("prefix", ["sealed-data-tier", "sealed-data-tier.lab"])
def test_images_are_known_by_their_names(prefix: str, tmp_path: Path) -> None:
    (tmp_path / "empty.tar").write_bytes(images.context(tmp_path))
    name = f"{prefix}/none-of-them:1"
    _docker("image", "import", f"--message={prefix}", str(tmp_path / "empty.tar"), name)
    try:
        assert _docker("image", "ls", "--quiet", name).strip() in images.made()
    finally:
        _docker("image", "rm", name)


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def _volumes() -> set[str]:
    """The volumes of the cluster's nodes, which have no names of their own."""
    names = _docker("ps", "--quiet", f"--filter=label=sealed-data-tier.lab={PREFIX}").split()
    mounts = json.loads(_docker("inspect", *names))
    return {mount["Name"] for each in mounts for mount in each["Mounts"] if mount["Type"] == "volume"}
