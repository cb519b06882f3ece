"""Host key pinned: no command speaks to a host that could be another one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from policies.rules.finding import Command, Finding

RULES: Final = {
    "host-key": "every connection, the bastion's too, pins an ed25519 host key",
    "file-copy": "files go to hosts through roles, not CopyToRemote or CopyFile",
}
_PINNED: Final = re.compile(r"^ssh-ed25519 [A-Za-z0-9+/]{68}(?: .*)?$")
_COPIES: Final = frozenset({"command:remote:CopyToRemote", "command:remote:CopyFile"})


def check(command: Command) -> Iterator[Finding]:
    """Find connections that anybody could answer."""
    if command.kind in _COPIES:
        yield Finding(
            rule="file-copy",
            path="type",
            value=command.kind,
            problem="it sets neither owner nor mode, is not undone by delete, and is not validated",
            fix="write the file with a Role",
        )
    for place, key in command.host_keys.items():
        if key is None or not _PINNED.match(key):
            yield Finding(
                rule="host-key",
                path=place,
                value=key.split(" ", 1)[0][:24] if key else "",
                problem="no ed25519 host key is pinned, so that any host may answer and read what is sent",
                fix="paste the line that `make host-keys HOSTS=…` prints, once its fingerprint is compared",
            )
