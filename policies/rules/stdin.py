"""What is secret in a command's standard input, as far as it can be told.

Standard input mixes passwords, scripts and packed files. Only what can hardly be anything but a secret counts: key
blocks, and words that look generated and stand alone on their line, also in packed files.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import ipaddress
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Final

_BASE64: Final = re.compile(r"^[A-Za-z0-9+/]+={0,2}$")
_SHORTEST_PACKED: Final = 64
_SHORTEST: Final = 8
_KINDS: Final = (re.compile(r"[a-z]"), re.compile(r"[A-Z]"), re.compile(r"[0-9]"), re.compile(r"[^A-Za-z0-9._-]"))
_HOST_NAME: Final = re.compile(r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")
_KEY_BLOCK: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?-----END [A-Z0-9 ]*PRIVATE KEY-----", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Stdin:
    """A standard input, taken apart.

    Attributes:
        text: Everything up to a script that may follow: a script's own words are no secrets.
        packed: Texts that were packed in base64, archives by member.
    """

    text: str
    packed: tuple[Mapping[str, str], ...]

    @staticmethod
    def of(stdin: str) -> Stdin:
        """Take a standard input apart."""
        return _taken_apart(stdin)

    def secrets(self) -> set[str]:
        """Return what is secret in it."""
        contents = [self.text, *(text for member in self.packed for text in member.values())]
        return {secret for content in contents for secret in _in_text(content)}

    def files(self) -> dict[str, str]:
        """Return the files that a role sends, secret ones too, by their path on the host."""
        files: dict[str, str] = {}
        for members in self.packed:
            for line in members.get("manifest", "").split("\n"):
                fields = line.split("\t")
                if fields[0] == "file" and fields[-1] in members:
                    files[fields[1]] = members[fields[-1]]
        return files


# Several families look at the same command, one after another.
@lru_cache(maxsize=1)
def _taken_apart(stdin: str) -> Stdin:
    text = f"\n{stdin}".split("\n#!", 1)[0]
    return Stdin(text, tuple(_unpacked(text)))


def _unpacked(stdin: str) -> Iterator[Mapping[str, str]]:
    for is_packed, lines in groupby(stdin.split("\n"), key=lambda line: bool(_BASE64.match(line))):
        block = list(lines) if is_packed else []
        whole = _decoded("".join(block))
        # A block of lines is one thing or, where a password stands next to it, each line is.
        for data in [whole] if whole else filter(None, map(_decoded, block)):
            yield _members(data) or {"": data.decode(errors="replace")}


def _decoded(blob: str) -> bytes:
    if len(blob) < _SHORTEST_PACKED:
        return b""
    try:
        return base64.b64decode(blob, validate=True)
    except binascii.Error:
        return b""


def _members(data: bytes) -> dict[str, str]:
    members: dict[str, str] = {}
    with contextlib.suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for member in archive:
            content = archive.extractfile(member)
            members[member.name] = content.read().decode(errors="replace") if content else ""
    return members


def _in_text(text: str) -> Iterator[str]:
    yield from (block[0] for block in _KEY_BLOCK.finditer(text))
    if not text.startswith("#!"):
        yield from filter(_looks_generated, text.split("\n"))


def _looks_generated(line: str) -> bool:
    if not _SHORTEST <= len(line) < _SHORTEST_PACKED or " " in line or "\t" in line or "=" in line.rstrip("="):
        return False
    if line.startswith(("/", "#", "-")) or _HOST_NAME.match(line) or _is_address(line):
        return False
    return sum(bool(kind.search(line)) for kind in _KINDS) > 1


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True
