"""Writes what a client of a group needs into files that only their owner reads.

    pulumi stack output redis --json --show-secrets | python -m components.redis_tls_cluster.bundle GROUP DIRECTORY

`make client-bundle GROUP=… DIRECTORY=…` does that for the stack.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_FILES: Final = {"root.crt": "authority", "client.crt": "clientCertificate", "client.key": "clientKey"}


def write(group: Mapping[str, Any], directory: Path) -> None:
    """Write a group's certificates, its client's key and its passwords, mode 0600.

    Args:
        group: The group's outputs.
        directory: Where to; made when it is not there, mode 0700.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    texts = {name: group[output] for name, output in _FILES.items()}
    texts |= {f"{user}.password": f"{password}\n" for user, password in group["passwords"].items()}
    for name, text in texts.items():
        # A file of its own first: the former one, whatever its mode, is replaced as a whole.
        new = directory / f".{name}.new"
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        new.replace(directory / name)


def example(group: Mapping[str, Any], directory: Path) -> str:
    """Say how to use the files."""
    here = shlex.quote(str(directory))
    user = next(iter(group["passwords"]))
    address, _, port = group["endpoints"][0].rpartition(":")
    return (
        f"export REDISCLI_AUTH=$(cat {here}/{user}.password)\n"
        f"redis-cli -h {address.strip('[]')} -p {port} --user {user} --tls --cacert {here}/root.crt "
        f"--cert {here}/client.crt --key {here}/client.key"
    )


def main(arguments: list[str], outputs: str) -> int:
    """Run as a command; returns its exit code."""
    if len(arguments) != 2:  # noqa: PLR2004 - as the usage says
        sys.stderr.write(__doc__ or "")
        return 2
    name, directory = arguments[0], Path(arguments[1])
    groups = json.loads(outputs or "{}")
    if name not in groups:
        sys.stderr.write(f"{name!r} is no group of the stack: use one of {', '.join(groups) or 'none'}\n")
        return 1
    write(groups[name], directory)
    sys.stdout.write(f"{example(groups[name], directory)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin.read()))
