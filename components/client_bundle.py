"""Writes what a client of Redis or of PostgreSQL needs into files that only their owner reads.

    pulumi stack output redis --json --show-secrets | python -m components.client_bundle GROUP DIRECTORY
    pulumi stack output postgres --json --show-secrets | python -m components.client_bundle PAIR DIRECTORY

`make client-bundle GROUP=… DIRECTORY=…`, or `PAIR=…`, does that for the stack.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

_FILES: Final = {"root.crt": "authority", "client.crt": "clientCertificate", "client.key": "clientKey"}


def write(served: Mapping[str, Any], directory: Path) -> None:
    """Write certificates, the client's key and passwords, mode 0600.

    Args:
        served: Outputs of the group or the pair.
        directory: Where to; made when it is not there, mode 0700.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    texts = {name: served[output] for name, output in _FILES.items()}
    texts |= {f"{user}.password": f"{password}\n" for user, password in served["passwords"].items()}
    if "dsns" in served:
        texts["pgpass"] = passfile(served)
    for name, text in texts.items():
        # A file of its own first: the former one, whatever its mode, is replaced as a whole.
        new = directory / f".{name}.new"
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        new.replace(directory / name)


def passfile(pair: Mapping[str, Any]) -> str:
    """Return a pair's passwords as libpq reads them (libpq.sgml, "The Password File"), for every host of its URLs."""
    fields = (
        (login, pair["passwords"][owner].replace("\\", "\\\\").replace(":", "\\:"))
        for owner, login in pair["users"].items()
    )
    return "".join(f"*:*:*:{login}:{password}\n" for login, password in fields)


def example(served: Mapping[str, Any], directory: Path) -> str:
    """Say how to use the files."""
    return _of_pair(served, directory) if "dsns" in served else _of_group(served, directory)


def _of_group(group: Mapping[str, Any], directory: Path) -> str:
    here = shlex.quote(str(directory))
    user = next(iter(group["passwords"]))
    address, _, port = group["endpoints"][0].rpartition(":")
    return (
        f"export REDISCLI_AUTH=$(cat {here}/{user}.password)\n"
        f"redis-cli -h {address.strip('[]')} -p {port} --user {user} --tls --cacert {here}/root.crt "
        f"--cert {here}/client.crt --key {here}/client.key"
    )


def _of_pair(pair: Mapping[str, Any], directory: Path) -> str:
    lines = [f"export PGPASSFILE={shlex.quote(str(directory / 'pgpass'))}"]
    for dsn in pair["dsns"].values():
        files = f"sslrootcert={directory}/root.crt&sslcert={directory}/client.crt&sslkey={directory}/client.key"
        lines.append(f"psql {shlex.quote(f'{dsn}&{files}')}")
        url = urlsplit(dsn)
        user, _, hosts = url.netloc.rpartition("@")
        known = f"user={user}&sslmode=verify-full&sslrootcert={directory}/root.crt&targetServerType=primary"
        lines.append(f"# Java: jdbc:postgresql://{hosts}{url.path}?{known}")
    return "\n".join(lines)


def main(arguments: list[str], outputs: str) -> int:
    """Run as a command; returns its exit code."""
    if len(arguments) != 2:  # noqa: PLR2004 - as the usage says
        sys.stderr.write(__doc__ or "")
        return 2
    name, directory = arguments[0], Path(arguments[1])
    known = json.loads(outputs or "{}")
    if name not in known:
        sys.stderr.write(f"{name!r} is none of the stack's: use one of {', '.join(known) or 'none'}\n")
        return 1
    write(known[name], directory)
    sys.stdout.write(f"{example(known[name], directory)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin.read()))
