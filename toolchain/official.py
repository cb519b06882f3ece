"""Gets Pulumi's own releases."""

import hashlib
import os
import queue
import shutil
import subprocess
import tarfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast

from toolchain.errors import ToolchainError
from toolchain.layout import BIN, HOME, plugin_binary
from toolchain.progress import Report, Update
from toolchain.versions import Versions

DOWNLOADS_VARIABLE = "SEALED_DATA_TIER_PULUMI_DOWNLOADS"

# Pulumi publishes the same files at both.
FOLDERS = (
    "https://get.pulumi.com/releases/sdk",
    "https://github.com/pulumi/pulumi/releases/download/v{version}",
)
ARCHITECTURES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}

READ_TIMEOUT = 30.0  # seconds without a byte
PLUGIN_TIMEOUT = 600.0  # seconds for one plugin
CHUNK = 1 << 20
MEBIBYTE = 1 << 20


class UnavailableError(Exception):
    """An official release cannot be had from here."""


@dataclass(frozen=True)
class Downloads:
    """A folder of official downloads that answers.

    Attributes:
        folder: Its URL.
        archive: Name of the CLI's archive for this platform.
        sha256: What the folder's list of checksums says of the archive.
    """

    folder: str
    archive: str
    sha256: str


def platform() -> str:
    """Return what Pulumi calls this machine's platform."""
    system = os.uname()
    return f"{system.sysname.lower()}-{ARCHITECTURES.get(system.machine, system.machine)}"


def find(versions: Versions, patience: float) -> Downloads | None:
    """Return the first folder of official downloads that answers with the CLI's checksum, or None.

    All are asked at once, on threads that nobody waits for: looking up a name can hang for long.

    Args:
        versions: Tells the CLI's version.
        patience: Seconds after which no answer means that there will be none.
    """
    archive = f"pulumi-v{versions.cli}-{platform()}.tar.gz"
    override = os.environ.get(DOWNLOADS_VARIABLE)
    folders = [override] if override else [folder.format(version=versions.cli) for folder in FOLDERS]
    answers: queue.Queue[Downloads | None] = queue.Queue()

    def ask(folder: str) -> None:
        answers.put(_ask(folder.rstrip("/"), archive, versions.cli, patience))

    for folder in folders:
        threading.Thread(target=ask, args=[folder], daemon=True).start()
    deadline = time.monotonic() + patience
    for _ in folders:
        try:
            if answer := answers.get(timeout=max(0.0, deadline - time.monotonic())):
                return answer
        except queue.Empty:
            break
    return None


def _ask(folder: str, archive: str, version: str, patience: float) -> Downloads | None:
    try:
        with _open(f"{folder}/pulumi-{version}-checksums.txt", patience) as answer:
            listed = answer.read(CHUNK).decode(errors="replace")
    except (OSError, HTTPException, ValueError):
        return None
    for line in listed.splitlines():
        match line.split():
            case [sha256, name] if name.lstrip("*") == archive:
                return Downloads(folder, archive, sha256)
    # Some networks answer every question with a page of their own.
    return None


def fetch_cli(tree: Path, downloads: Downloads, report: Report) -> None:
    """Download the CLI with its language hosts, and check it.

    Raises:
        UnavailableError: The download broke off.
        ToolchainError: What was downloaded is not what was published.
    """
    url = f"{downloads.folder}/{downloads.archive}"
    file = tree / downloads.archive
    with report.doing(f"Pulumi CLI from {url}") as update:
        try:
            sha256 = _download(url, file, update)
        except (OSError, HTTPException) as error:
            file.unlink(missing_ok=True)
            raise UnavailableError(f"{url}: {error}") from error
        if sha256 != downloads.sha256:
            raise ToolchainError(
                f"{url} has the SHA-256 {sha256}, but {downloads.sha256} was published: "
                "the download was changed on its way or is damaged; try again, or from another network"
            )
        update("unpacking")
        with tarfile.open(file) as archive:
            archive.extractall(tree, filter="data")
        file.unlink()
        (tree / "pulumi").rename(tree / BIN)


def _open(url: str, timeout: float) -> HTTPResponse:
    answer = urllib.request.urlopen(url, timeout=timeout)  # noqa: S310 - the folders are ours or the caller's
    return cast("HTTPResponse", answer)


def _download(url: str, file: Path, update: Update) -> str:
    digest = hashlib.sha256()
    with _open(url, READ_TIMEOUT) as answer, file.open("wb") as target:
        total = int(answer.headers.get("Content-Length", 0)) // MEBIBYTE
        while chunk := answer.read(CHUNK):
            digest.update(chunk)
            target.write(chunk)
            update(f"{target.tell() // MEBIBYTE} of {total or '?'} MiB")
    return digest.hexdigest()


def fetch_plugin(tree: Path, name: str, version: str, report: Report) -> None:
    """Let the CLI in the tree download a plugin.

    Raises:
        UnavailableError: The CLI could not get it.
    """
    command = [str(tree / BIN / "pulumi"), "plugin", "install", "resource", name, f"v{version}"]
    if override := os.environ.get(DOWNLOADS_VARIABLE):
        command += ["--server", override]
    environment = {**os.environ, "PULUMI_HOME": str(tree / HOME), "PULUMI_SKIP_UPDATE_CHECK": "1"}
    with report.doing(f"plugin {name} {version} from Pulumi"):
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=PLUGIN_TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"plugin {name} {version}: no end after {PLUGIN_TIMEOUT:.0f} s") from error
        if done.returncode or not (tree / plugin_binary(name, version)).exists():
            shutil.rmtree((tree / plugin_binary(name, version)).parent, ignore_errors=True)
            raise UnavailableError(f"plugin {name} {version}: {(done.stderr or done.stdout).strip()}")
