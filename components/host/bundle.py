"""A role as the text that travels to the runtime's standard input.

The format is what a POSIX shell reads best: a header line with a checksum, then a base64 tar archive of a tab-separated
manifest and the contents beside it. It is a pure function of the role, so that an unchanged role is an unchanged input
and no connection is opened. It is not compressed: compressors change between versions, and with them every host.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import Iterator
from typing import Final

from components.host.role import RoleSpec

#: Version of the manifest; the runtime refuses another one.
FORMAT: Final = "sealed-data-tier/1"
_LINE_LENGTH: Final = 1024


def _manifest(role: RoleSpec, family: str, incarnation: str) -> Iterator[tuple[str, ...]]:
    yield "role", role.name
    yield "family", family
    yield "incarnation", incarnation or "-"
    for package in role.packages:
        yield "package", package
    for boolean in role.selinux_booleans:
        yield "boolean", boolean
    for user in role.users:
        yield "user", user.name, user.home, user.shell
    for directory in role.directories:
        yield "directory", directory.path, f"{directory.mode:o}", directory.owner, directory.group
        if directory.discard:
            yield "discard", directory.path
    for number, file in enumerate(role.files):
        yield "file", file.path, f"{file.mode:o}", file.owner, file.group, f"file-{number}"
    for number, validation in enumerate(role.validations):
        yield "validation", validation.name, str(validation.timeout), f"validation-{number}"
    for unit in role.units:
        yield "unit", unit.name
        for path in unit.reload_on:
            yield "reload", unit.name, path
        for path in unit.restart_on:
            yield "restart", unit.name, path
    for number, check in enumerate(role.checks):
        yield "check", check.name, str(check.timeout), f"check-{number}"


def _members(role: RoleSpec, contents: dict[str, str], family: str, incarnation: str) -> Iterator[tuple[str, str]]:
    lines = ("\t".join(fields) + "\n" for fields in _manifest(role, family, incarnation))
    yield "manifest", "".join(lines)
    for number, file in enumerate(role.files):
        yield f"file-{number}", contents[file.path]
    for number, validation in enumerate(role.validations):
        yield f"validation-{number}", validation.command + "\n"
    for number, check in enumerate(role.checks):
        yield f"check-{number}", check.command + "\n"


def pack(role: RoleSpec, contents: dict[str, str], *, family: str, incarnation: str = "") -> str:
    """Pack a role for the runtime.

    Args:
        role: The role.
        contents: Text of each file by path, secrets included.
        family: OS family that the role was rendered for; the runtime refuses another one.
        incarnation: Changes when the host was replaced by an empty one behind the same keys.

    Returns:
        A header line, `sealed-data-tier/1 <sha256 of the archive>`, and the archive in base64. Secret as a whole.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, text in _members(role, contents, family, incarnation):
            data = text.encode()
            member = tarfile.TarInfo(name)  # its defaults, owner 0 and time 0, are what makes it repeatable
            member.size, member.mode = len(data), 0o600
            tar.addfile(member, io.BytesIO(data))
    blob = archive.getvalue()
    encoded = base64.b64encode(blob).decode()
    lines = (encoded[at : at + _LINE_LENGTH] for at in range(0, len(encoded), _LINE_LENGTH))
    return "\n".join((f"{FORMAT} {hashlib.sha256(blob).hexdigest()}", *lines, ""))
