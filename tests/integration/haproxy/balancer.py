"""HAProxy on one lab host, brought there by the host's own runtime as `pulumi up` would, without the engine."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Final

from components.haproxy_load_balancer import HaproxySettings, rendering
from components.haproxy_load_balancer.component import PROFILES, role_spec
from components.host import Family
from components.host.bundle import pack
from components.settings import load
from lab.machine import LabHost

HERE: Final = Path(__file__).parent
_RUNTIME: Final = "/usr/local/lib/sealed-data-tier/runtime"
_RUNTIME_SOURCE: Final = HERE.parents[2] / "components" / "host" / "runtime.sh"


class Balancer:
    """One load balancer.

    Attributes:
        host: Where it runs.
        name: Its name among its peers.
    """

    def __init__(self, host: LabHost, name: str = "lb1") -> None:
        self.host = host
        self.name = name

    def install(self) -> None:
        """Put the runtime on the host."""
        self.host.run("cat >/root/stage-runtime && sh /root/stage-runtime install", stdin=_RUNTIME_SOURCE.read_text())

    def delete(self) -> None:
        """Put back what was there before the role."""
        self.host.run(f"{_RUNTIME} delete haproxy")

    def carry_out(
        self,
        settings: Mapping[str, Any],
        *,
        password: str = "",
        append: str = "",
        check: bool = True,
        peer_certificate: str | None = None,
        peer_authority: str | None = None,
    ) -> CompletedProcess[str]:
        """Carry out the role.

        Args:
            settings: Settings as in a stack's configuration.
            password: Value of every password that they name.
            append: Text that is added to haproxy.cfg, to break it.
            check: Whether a failure is an error.
            peer_certificate: See `HaproxyLoadBalancerArgs`.
            peer_authority: See `HaproxyLoadBalancerArgs`.
        """
        model = load(HaproxySettings, settings, "haproxy")
        profile = PROFILES[Family.DEBIAN]
        text = rendering.configuration(model, stats_socket=profile.stats_socket, local_peer=self.name) + append
        fingerprint = rendering.fingerprint(text, password, peer_certificate or "", peer_authority or "")
        spec = role_spec(
            model,
            profile,
            local_peer=self.name,
            text=text,
            environment=rendering.environment(dict.fromkeys(model.passwords, password), fingerprint=fingerprint),
            peer_certificate=peer_certificate,
            peer_authority=peer_authority,
        )
        bundle = pack(spec, {file.path: str(file.content) for file in spec.files}, family="debian")
        return self.host.run(f"{_RUNTIME} apply haproxy", stdin=bundle, check=check, timeout=300)

    def ask(self, command: str) -> str:
        """Ask the runtime API."""
        return self.host.run(f"echo '{command}' | socat -t 5 - UNIX-CONNECT:/run/haproxy/admin.sock").stdout

    def process(self) -> str:
        """The process that serves, by its id."""
        return next(line for line in self.ask("show info").splitlines() if line.startswith("Pid: "))

    def statistics(self, proxy: str) -> dict[str, dict[str, str]]:
        """What HAProxy counts of a proxy and of each of its servers, by name."""
        rows = csv.DictReader(self.ask("show stat").removeprefix("# ").splitlines())
        return {row["svname"]: row for row in rows if row["pxname"] == proxy}

    def clients_of(self, server: str) -> int:
        """Connections that HAProxy has to a server, or is still making."""
        return sum(f" srv={server} " in line for line in self.ask("show sess").splitlines())
