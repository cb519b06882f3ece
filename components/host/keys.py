"""Print ed25519 host keys for the stack's configuration, with fingerprints to compare: `make host-keys HOSTS=…`."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Final

from components.host.settings import fingerprint, pinned_key
from components.names import host_name, is_address

_SSH_PORT: Final = 22
_ANSWER_WITHIN_S: Final = 10


def endpoint(text: str) -> tuple[str, int]:
    """Split `name`, `name:port`, `IPv6` or `[IPv6]:port`.

    Raises:
        ValueError: With the text and what to write instead.
    """
    name, separator, port = text.rpartition(":")
    if not separator or (":" in name and not name.startswith("[")):
        return host_name(text.strip("[]")), _SSH_PORT
    if not port.isdigit():
        raise ValueError(f"{text!r} has no port after ':': write name:2222 or [2001:db8::1]:2222")
    return host_name(name.strip("[]")), int(port)


def label(name: str) -> str:
    """Return the name that a host gets in the stack: its first label, or its whole address."""
    return re.sub(r"[.:]+", "-", f"host-{name}") if is_address(name) else name.partition(".")[0]


def scan(name: str, port: int) -> str:
    """Ask a host for its ed25519 key.

    Raises:
        LookupError: When it does not answer with one.
    """
    command = ["ssh-keyscan", "-t", "ed25519", "-T", str(_ANSWER_WITHIN_S), "-p", str(port), name]
    for line in subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines():
        _, _, key = line.partition(" ")
        return pinned_key(key)
    raise LookupError(f"{name}:{port} shows no ed25519 host key within {_ANSWER_WITHIN_S} s: is sshd there?")


def main(arguments: list[str]) -> int:
    """Print one entry a host, and say which ones did not answer."""
    if not arguments:
        sys.stderr.write('name the hosts: make host-keys HOSTS="app1.example.com lb1.example.com:2222"\n')
        return 64
    failed = False
    for argument in arguments:
        try:
            name, port = endpoint(argument)
            key = scan(name, port)
        except (ValueError, LookupError) as error:
            sys.stderr.write(f"{error}\n")
            failed = True
            continue
        # On the host itself: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
        sys.stdout.write(f"# {name}: compare on its console: {fingerprint(key)}\n")
        sys.stdout.write(f"{label(name)}:\n  address: {name}\n")
        if port != _SSH_PORT:
            sys.stdout.write(f"  port: {port}\n")
        sys.stdout.write(f"  hostKey: {key}\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
