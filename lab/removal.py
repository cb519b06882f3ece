"""Removes what a lab has in Docker, also when no state knows it any more."""

from __future__ import annotations

from typing import Final

from lab.console import LabError, answer, console
from lab.settings import LAB_LABEL

_REMOVALS: Final = {
    "container": (["ls", "--all"], ["rm", "--force", "--volumes"]),
    "network": (["ls"], ["rm"]),
    "volume": (["ls"], ["rm", "--force"]),
}
"""How what a lab has in Docker is listed and removed, in the order in which it can be."""
_LIMIT_S: Final = 120


def remains(lab: str) -> bool:
    """Whether Docker has anything of a lab."""
    return any(_found(kind, f"{LAB_LABEL}={lab}") for kind in _REMOVALS)


def remove(lab: str | None) -> None:
    """Removes what a lab, or every lab, has in Docker.

    Raises:
        LabError: When Docker could not, with what to look at.
    """
    label = f"{LAB_LABEL}={lab}" if lab else LAB_LABEL
    for kind, (_, removed) in _REMOVALS.items():
        found = _found(kind, label)
        if found and answer("docker", kind, *removed, *found, timeout=_LIMIT_S) is None:
            raise LabError(
                f"Docker could not remove every {kind} of the lab: see docker {kind} ls --filter label={label}"
            )
        console.print(f"Removed: {len(found)} {kind}s")


def _found(kind: str, label: str) -> list[str]:
    listed, _ = _REMOVALS[kind]
    return (answer("docker", kind, *listed, "--quiet", f"--filter=label={label}") or "").split()
