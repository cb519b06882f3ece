"""The image's inputs: one list of packages, one digest, nothing of one machine or one host."""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from lab import host_image

SOURCE = Path(host_image.__file__).parent / "image"


def packages() -> set[str]:
    lines = (line.split("#")[0].strip() for line in (SOURCE / "packages.txt").read_text().splitlines())
    return {line for line in lines if line}


def test_the_packages_are_listed_in_one_place() -> None:
    assert {"systemd", "openssh-server", "sudo", "haproxy", "valkey-server"} <= packages()
    dockerfile = (SOURCE / "Dockerfile").read_text()
    installed = re.findall(r"apt-get install (.*)", dockerfile)
    assert installed == ["-y --no-install-recommends \\"]
    assert "xargs apt-get install" in dockerfile
    assert not packages() & set(Path(host_image.__file__).read_text().split('"'))


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    target = tmp_path / "image"
    shutil.copytree(SOURCE, target)
    monkeypatch.setattr(host_image, "_SOURCE", target)
    return target


def test_the_same_content_is_the_same_image_whoever_checked_it_out(copy: Path) -> None:
    original = host_image.reference()
    for path in [copy, *copy.rglob("*")]:
        path.chmod(path.stat().st_mode & 0o700)
        os.utime(path, (1, 1))
    assert host_image.reference() == original


@pytest.mark.parametrize("changed", ["Dockerfile", "packages.txt", "root/usr/local/sbin/lab-init"])
def test_changed_content_is_another_image(copy: Path, changed: str) -> None:
    original = host_image.reference()
    with (copy / changed).open("a") as file:
        file.write("\n")
    assert host_image.reference() != original


def test_a_script_that_is_not_executable_is_another_image(copy: Path) -> None:
    original = host_image.reference()
    (copy / "root/usr/local/sbin/lab-init").chmod(0o644)
    assert host_image.reference() != original


def test_files_belong_to_root_and_only_root_may_write_them() -> None:
    with tarfile.open(fileobj=io.BytesIO(host_image.build_context())) as context:
        for entry in context:
            assert (entry.uid, entry.gid, entry.mode & 0o022) == (0, 0, 0), entry.name


def test_no_package_source_but_debians_own() -> None:
    sources = (SOURCE / "root/etc/apt/sources.list.d/debian.sources").read_text()
    assert set(re.findall(r"https?://([^/]+)", sources)) == {"deb.debian.org"}
