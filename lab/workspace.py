"""Where the lab keeps what is expensive to make, outside the repository."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.console import console


def directory() -> Path:
    """The lab's own folder in the project's cache, made if it is missing."""
    root = os.environ.get("SEALED_DATA_TIER_CACHE") or Path.home() / ".cache" / "sealed-data-tier"
    path = Path(root) / "lab"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def locked() -> Iterator[None]:
    """Lets one process at a time change what all labs of this machine share; the others wait for it."""
    with (directory() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("Another process is at work on the lab; waiting for it …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
