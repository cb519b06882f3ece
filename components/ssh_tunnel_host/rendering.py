"""The files of both ends of a tunnel: settings in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from components.names import bracketed
from components.ssh_tunnel_host.settings import Timing
from components.templates import Templates

_TEMPLATES: Final = Templates(__file__)
_SSH_PORT: Final = 22


@dataclass(frozen=True, kw_only=True)
class FarEnd:
    """The far host as this side dials it: address, SSH port and pinned key."""

    address: str
    port: int
    host_key: str

    @property
    def known_as(self) -> str:
        """Name of the host in known_hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
        return self.address if self.port == _SSH_PORT else f"[{self.address}]:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Tunnel:
    """One tunnel with everything resolved."""

    alias: str
    server: str
    far_end: FarEnd
    local_endpoint: str
    target_endpoint: str

    @property
    def address(self) -> str:
        """What ssh dials."""
        return self.far_end.address

    @property
    def ssh_port(self) -> int:
        """Port that ssh dials."""
        return self.far_end.port

    @property
    def host_key_alias(self) -> str:
        """What ssh looks up in known_hosts."""
        return self.far_end.known_as


def tunnel_directory(user: str) -> str:
    """Return where both ends keep their files of one account."""
    return f"/etc/ssh/sealed-data-tier/{user}"


def script_path(user: str) -> str:
    """Return the path of the supervisor, under the name that the vendor's guide uses."""
    return f"/usr/local/bin/start-{user}.sh"


def ssh_config(tunnel: Tunnel, user: str, timing: Timing) -> str:
    """Render the configuration of one tunnel's ssh, see `man 5 ssh_config`."""
    return _TEMPLATES.render(
        "ssh.conf.j2", {"tunnel": tunnel, "user": user, "directory": tunnel_directory(user), "timing": timing}
    )


def known_hosts(far_ends: Sequence[FarEnd]) -> str:
    """List the pinned keys of all far hosts, each once."""
    return "".join(sorted({f"{end.known_as} {end.host_key}\n" for end in far_ends}))


def service_unit(instance: str, user: str, probe: str, timing: Timing) -> str:
    """Render the unit of a tunnel, see systemd.service(5); `instance` is its alias, or `%i` for a template."""
    values = {
        "instance": instance,
        "user": user,
        "probe": probe,
        "timing": timing,
        "directory": tunnel_directory(user),
        "script": script_path(user),
    }
    return _TEMPLATES.render("tunnel.service.j2", values)


def supervisor() -> str:
    """Return the script that runs and watches one tunnel."""
    return _TEMPLATES.render("start-tunnel.sh", {})


def sshd_config(user: str, targets: Sequence[str], timing: Timing) -> str:
    """Render the rules for the tunnels' account on the far host, see `man 5 sshd_config`."""
    values = {"user": user, "targets": targets, "directory": tunnel_directory(user), "timing": timing}
    return _TEMPLATES.render("sshd.conf.j2", values)


def authorized_key(public_key: str, *, sources: Sequence[str], targets: Sequence[str], comment: str) -> str:
    """Render one line of authorized_keys (sshd(8), AUTHORIZED_KEYS FILE FORMAT).

    `restrict` alone still lets a key run commands: the forced command is what stops that.
    """
    options = ["restrict", "port-forwarding"]
    options += [f'permitopen="{target}"' for target in targets]
    options += [f'from="{",".join(sources)}"', 'command="/usr/sbin/nologin"']
    key = " ".join(public_key.split()[:2])
    return f"{','.join(options)} {key} {comment}\n"


def endpoint(address: str, port: int) -> str:
    """Write an address and a port as ssh does."""
    return f"{bracketed(address)}:{port}"
