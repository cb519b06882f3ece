"""Files: the hosts have what the stack wrote, byte for byte, with its owner and mode, and nothing beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Final

from verification.facts import Facts, Question, Stat
from verification.family import Family, Outcome, counted
from verification.model import File, Host, Stack

_REGULAR: Final = frozenset({"regular file", "regular empty file"})
_OTHERS_WRITE: Final = 0o022


def questions(host: Host) -> Iterable[Question]:
    """Ask for every file and directory. The texts of secret files are not asked for: their checksums will do."""
    yield from (Question("file", path) for path in host.files)
    yield from (Question("text", path) for path, file in host.files.items() if not file.secret)
    yield from (Question("folder", path) for path in host.directories)


def judge(_: Stack, host: Host, facts: Facts) -> Outcome | None:
    """Compare files and directories with what was written."""
    if not host.files:
        return None
    problems = [
        *(f"{path} {problem}" for path, file in host.files.items() for problem in _drift(path, file, facts)),
        *(f"{path} {problem}" for path in host.directories for problem in _open_directory(path, host, facts)),
        *(f"{path} was not written by the stack, and is read as if it were" for path in _strangers(host, facts)),
    ]
    secret = sum(file.secret for file in host.files.values())
    summary = f"{counted(len(host.files), 'file')} as written, {secret} of them secret"
    return Outcome(host=host.name, summary=summary, problems=tuple(problems))


def _drift(path: str, file: File, facts: Facts) -> Iterator[str]:
    stat = facts.stats.get(path)
    if stat is None:
        yield "is missing"
        return
    if stat.kind not in _REGULAR:
        yield f"is a {stat.kind}, no file"
        return
    if stat.mode != file.mode:
        yield f"has mode {stat.mode}, not {file.mode}"
    if stat.owner != file.owner:
        yield f"belongs to {stat.owner}, not {file.owner}"
    if file.text is None:
        yield "cannot be compared: the state does not have what was written; run `pulumi up` to its end"
    elif facts.sums.get(path) != hashlib.sha256(file.text.encode()).hexdigest():
        yield _difference(file, facts.texts.get(path))


def _difference(file: File, real: str | None) -> str:
    """Say where the text differs by quoting the stack's line; what stands on the host instead may be anything."""
    if file.secret or file.text is None or real is None:
        return "is not what the stack wrote"
    written, found = file.text.split("\n"), real.split("\n")
    line = next(
        (number for number, (one, other) in enumerate(zip(written, found, strict=False)) if one != other),
        min(len(written), len(found)),
    )
    wanted = repr(written[line]) if line < len(written) else "the end"
    return f"is not what the stack wrote: line {line + 1} was {wanted}"


def _open_directory(path: str, host: Host, facts: Facts) -> Iterator[str]:
    """Directories that were there before keep their owner and mode, but nobody else may put files into them."""
    stat = facts.stats.get(path)
    if stat is None:
        yield "is missing"
    elif stat.kind != "directory":
        yield f"is a {stat.kind}, no directory"
    elif not _is_closed(stat, host.directories[path][1]):
        yield f"belongs to {stat.owner} with mode {stat.mode}: others can replace files in it"


def _is_closed(stat: Stat, owner: str) -> bool:
    users = {"root", owner.partition(":")[0]}
    return stat.owner.partition(":")[0] in users and not int(stat.mode, 8) & _OTHERS_WRITE


def _strangers(host: Host, facts: Facts) -> Iterator[str]:
    """In a directory of the stack's own, a file of others would be a key or a configuration that nobody reviewed.

    Drop-in directories are shared with administrators; what is in them is for the policies to judge. A directory of a
    service's account holds what the service writes.
    """
    known = {*host.files, *host.directories, *host.filled}
    own = {
        path for path, (_, owner) in host.directories.items() if not path.endswith(".d") and owner.startswith("root:")
    }
    for path in sorted(facts.names - known):
        if str(PurePosixPath(path).parent) in own and PurePosixPath(path).name != ".sealed-data-tier":
            yield path


FAMILY: Final = Family(
    name="files",
    summary="Hosts have what the stack wrote, with its owner and mode, and nothing beside it.",
    questions=questions,
    judge=judge,
)
