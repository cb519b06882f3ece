"""The image that every lab host is made of.

``lab/image`` is its only source: a Dockerfile, one list of packages, and the files that go in. Where an image registry
answers, it is built on ``debian:trixie``; where none does, on the same system made by debootstrap from Debian's
packages. Its tag is the digest of the build context, so a changed file is a new image and a stack that uses the old one
replaces its hosts. A copy in the cache outlives Docker's own storage.
"""

import hashlib
import io
import os
import select
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from lab import workspace
from lab.console import LabError, answer, console, step
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
    """The build context as a tar file, the same bytes for the same content, whoever checked the files out."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path in sorted(_SOURCE.rglob("*")):
            entry = archive.gettarinfo(path, arcname=str(path.relative_to(_SOURCE)))
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            entry.mtime = entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            archive.addfile(entry, io.BytesIO(path.read_bytes()) if entry.isreg() else None)
    return content.getvalue()


def reference() -> str:
    """The image's name, with the digest of everything it is built from."""
    return f"{REPOSITORY}:{hashlib.sha256(build_context()).hexdigest()[:12]}"


def ensure() -> str:
    """Returns the image's name, after loading it from the cache or building it where Docker does not have it.

    Raises:
        LabError: The image can neither be loaded nor built.
    """
    image = reference()
    if not _present(image):
        copy = workspace.directory() / f"{image.replace('/', '_').replace(':', '-')}.tar.gz"
        if not (copy.exists() and _load(image, copy)):
            _build(image)
            _keep(image, copy)
    return image


def _present(image: str) -> bool:
    return answer("docker", "image", "inspect", "--format", "{{.Id}}", image) is not None


def _load(image: str, copy: Path) -> bool:
    try:
        with step("Lab image: loading it from the cache") as current:
            current.run("docker", "image", "load", "--input", copy)
    except LabError as error:
        console.print(f"The cached copy is of no use and will be made again. {error}", markup=False)
    return _present(image)


def _keep(image: str, copy: Path) -> None:
    archive = copy.with_suffix("")  # gzip adds it again, and only once it is done
    with step("Lab image [3/3]: keeping a copy in the cache") as current:
        current.run("docker", "image", "save", "--output", archive, image)
        current.run("gzip", "--fast", "--force", archive)
    for other in copy.parent.glob("*.tar.gz"):
        if other != copy:
            other.unlink()


def _build(image: str) -> None:
    base = _base()
    with step(f"Lab image [2/3]: its packages, on {base}") as current, tempfile.TemporaryFile() as context:
        context.write(build_context())
        context.seek(0)
        current.run("docker", "build", "--build-arg", f"BASE={base}", "--tag", image, "-", stdin=context)


def _base() -> str:
    for base in (OFFICIAL_BASE, BOOTSTRAPPED_BASE):
        if _present(base):
            return base
    if _pull(OFFICIAL_BASE):
        return OFFICIAL_BASE
    _bootstrap()
    return BOOTSTRAPPED_BASE


def _pull(image: str) -> bool:
    """Whether an image registry gave the image; the limit is for its first word, not for the download."""
    with step(f"Lab image [1/3]: asking an image registry for {image}") as current:
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
        step("Lab image [1/3]: no registry answers, so the base is made by debootstrap") as current,
    ):
        root, archive = Path(workplace, "root"), Path(workplace, "base.tar")
        # A mount namespace of its own: whatever debootstrap mounts is gone with it, even when it is interrupted.
        current.run("unshare", "--mount", "debootstrap", "--variant=minbase", RELEASE, root, MIRROR)
        current.run(
            "tar", "-C", root, "--numeric-owner", "--exclude=./var/cache/apt/archives/*.deb", "-cf", archive, "."
        )
        current.run("docker", "image", "import", archive, BOOTSTRAPPED_BASE)
