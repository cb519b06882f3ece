"""Images that the lab builds: named by the digest of what goes in, and kept where they outlive Docker's storage."""

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from lab import workspace
from lab.console import LabError, answer, console, step

PREFIXES: Final = ("sealed-data-tier/", "sealed-data-tier.lab/")
"""What the names of all images begin with that are made here: of hosts and nodes, and of pods."""


def pack(source: Path, into: IO[bytes]) -> None:
    """Writes a folder as a build context: the same bytes for the same content, whoever checked the files out.

    Args:
        source: The folder.
        into: Takes the tar file.
    """
    with tarfile.open(fileobj=into, mode="w") as archive:
        for path in sorted(source.rglob("*")):
            entry = archive.gettarinfo(path, arcname=str(path.relative_to(source)))
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            entry.mtime = entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            if entry.isreg():
                with path.open("rb") as content:
                    archive.addfile(entry, content)
            else:
                archive.addfile(entry)


def context(source: Path) -> bytes:
    """A folder as a build context."""
    content = io.BytesIO()
    pack(source, content)
    return content.getvalue()


def named(repository: str, *content: bytes) -> str:
    """An image's name, with the digest of everything it is built from."""
    digest = hashlib.sha256()
    for each in content:
        digest.update(each)
    return f"{repository}:{digest.hexdigest()[:12]}"


def present(image: str) -> bool:
    """Whether Docker has an image."""
    return answer("docker", "image", "inspect", "--format", "{{.Id}}", image) is not None


def made() -> list[str]:
    """The ids of all images that were made here."""
    filters = [f"--filter=reference={prefix}*" for prefix in PREFIXES]
    return sorted(set((answer("docker", "image", "ls", "--quiet", *filters) or "").split()))


def ensure(what: str, image: str, build: Callable[[], None]) -> None:
    """Loads an image from the cache or builds it, where Docker does not have it.

    Args:
        what: What is made, for people.
        image: Its name.
        build: Makes it.

    Raises:
        LabError: The image can neither be loaded nor built.
    """
    if present(image):
        return
    copy = workspace.directory() / f"{image.replace('/', '_').replace(':', '-')}.tar.gz"
    if not (copy.exists() and _load(what, image, copy)):
        build()
        _keep(what, image, copy)


def _load(what: str, image: str, copy: Path) -> bool:
    try:
        with step(f"{what}: loading it from the cache") as current:
            current.run("docker", "image", "load", "--input", copy)
    except LabError as error:
        console.print(f"The cached copy is of no use and will be made again. {error}", markup=False)
    return present(image)


def _keep(what: str, image: str, copy: Path) -> None:
    archive = copy.with_suffix("")  # gzip adds it again, and only once it is done
    with step(f"{what}: keeping a copy in the cache") as current:
        current.run("docker", "image", "save", "--output", archive, image)
        current.run("gzip", "--fast", "--force", archive)
    repository, _, _ = copy.name.rpartition("-")
    for other in copy.parent.glob(f"{repository}-*.tar.gz"):
        if other != copy:
            other.unlink()
