"""The image that every lab host is made of.

``lab/image`` is its only source: a Dockerfile, one list of packages, and the files that go in. Where an image registry
answers, it is built on ``debian:trixie``; where none does, on the same system made by debootstrap from Debian's
packages. Its tag is the digest of the build context, so a changed file is a new image and a stack that uses the old one
replaces its hosts. A copy in the cache outlives Docker's own storage.
"""

import os
import select
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab import images, workspace
from lab.console import LabError, step
from lab.daemon import install_debian_packages

REPOSITORY = "sealed-data-tier/lab-host"
RELEASE = "trixie"
OFFICIAL_BASE = f"debian:{RELEASE}"
BOOTSTRAPPED_BASE = f"sealed-data-tier/debian:{RELEASE}"
MIRROR = "http://deb.debian.org/debian"
REGISTRY_SECONDS = 15
"""How long an image registry may take to begin its answer."""

_SOURCE = Path(__file__).parent / "image"


def build_context() -> bytes:
    """The build context as a tar file."""
    return images.context(_SOURCE)


def reference() -> str:
    """The image's name, with the digest of everything it is built from."""
    return images.named(REPOSITORY, build_context())


def ensure() -> str:
    """Returns the image's name, after loading it from the cache or building it where Docker does not have it.

    Raises:
        LabError: The image can neither be loaded nor built.
    """
    image = reference()
    images.ensure("Lab image", image, lambda: _build(image))
    return image


def _build(image: str) -> None:
    system = base()
    with step(f"Lab image [2/2]: its packages, on {system}") as current, tempfile.TemporaryFile() as context:
        context.write(build_context())
        context.seek(0)
        current.run("docker", "build", "--build-arg", f"BASE={system}", "--tag", image, "-", stdin=context)


def base() -> str:
    """Returns the name of an image with Debian and nothing else, after getting it where Docker does not have it.

    Raises:
        LabError: It can neither be pulled nor made.
    """
    for known in (OFFICIAL_BASE, BOOTSTRAPPED_BASE):
        if images.present(known):
            return known
    if _pull(OFFICIAL_BASE):
        return OFFICIAL_BASE
    _bootstrap()
    return BOOTSTRAPPED_BASE


def _pull(image: str) -> bool:
    """Whether an image registry gave the image; the limit is for its first word, not for the download."""
    with step(f"Lab image [1/2]: asking an image registry for {image}") as current:
        command = ("docker", "image", "pull", image)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as pull:
            assert pull.stdout  # noqa: S101 - a pipe was asked for
            answered, _, _ = select.select([pull.stdout], [], [], REGISTRY_SECONDS)
            if not answered:
                pull.kill()
            for line in pull.stdout:
                current.show(line.rstrip())
        return pull.returncode == 0


def _bootstrap() -> None:
    why = "No image registry answers, so the base is made from Debian's packages"
    if os.geteuid() != 0:
        raise LabError(f"{why}, and debootstrap needs root: run this as root, or let Docker reach an image registry.")
    if not shutil.which("debootstrap"):
        install_debian_packages(why, "debootstrap", "debian-archive-keyring")
    with (
        tempfile.TemporaryDirectory(dir=workspace.directory(), prefix="debootstrap-") as workplace,
        step("Lab image [1/2]: no registry answers, so the base is made by debootstrap") as current,
    ):
        root, archive = Path(workplace, "root"), Path(workplace, "base.tar")
        # A mount namespace of its own: whatever debootstrap mounts is gone with it, even when it is interrupted.
        current.run("unshare", "--mount", "debootstrap", "--variant=minbase", RELEASE, root, MIRROR)
        current.run(
            "tar", "-C", root, "--numeric-owner", "--exclude=./var/cache/apt/archives/*.deb", "-cf", archive, "."
        )
        current.run("docker", "image", "import", archive, BOOTSTRAPPED_BASE)
