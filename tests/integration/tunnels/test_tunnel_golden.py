"""The reviewed files are such that OpenSSH and systemd take them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.integration.support import ROOT
from tests.integration.tunnels.stack import Stack

pytestmark = [pytest.mark.lab, pytest.mark.engine]

_GOLDEN: Final = ROOT / "tests" / "golden" / "ssh_tunnel_host"
FILES: Final = sorted(path.relative_to(_GOLDEN) for path in _GOLDEN.glob("*/**/*") if path.is_file())


def checker(path: Path) -> str | None:
    """The command by which a file's program takes or refuses its copy in /run/golden; None where it has no checker."""
    if path.parent.name == "sshd_config.d":
        return "cat /run/golden /etc/ssh/sshd_config >/run/whole; /usr/sbin/sshd -t -f /run/whole"
    if path.suffix == ".conf":
        return f"CREDENTIALS_DIRECTORY=/ ssh -F /run/golden -G {path.stem} | grep -q ^localforward"
    if path.suffix == ".service":
        unit = f"/run/{path.name}"
        return (
            f"sed 's|/usr/local/bin/start-[^ ]*|/bin/true|' /run/golden >{unit}; systemd-analyze --man=no verify {unit}"
        )
    return None


@pytest.mark.parametrize("path", [path for path in FILES if checker(path)], ids=str)
def test_is_taken(hosts: Stack, path: Path) -> None:
    hosts.host("app1").run(f"cat >/run/golden; {checker(path)}", stdin=(_GOLDEN / path).read_text())
