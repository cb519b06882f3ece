"""A stage for HAProxy on a lab host: two caches, stand-ins for the tunnels to them, and a load that notices everything.

load → 127.0.0.1:31379 HAProxy → 127.0.0.1:3137x relay (as an SSH tunnel) → 127.0.0.1:4137x Valkey
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from hashlib import sha256
from shlex import join
from subprocess import CompletedProcess
from typing import Any, Final

from tests.integration.haproxy.balancer import HERE, Balancer

PASSWORD: Final = "p'a ss\"w\\örd$%{}#"
PORT: Final = 31379
CACHES: Final = ("1371", "1372")
SETTINGS: Final[dict[str, Any]] = {
    "frontends": [{"name": "cache_in", "binds": [{"port": PORT}], "defaultBackend": "caches"}],
    "backends": [
        {
            "name": "caches",
            "healthCheck": {"protocol": "redis", "password": "CACHE_PASSWORD", "role": "master"},
            "defaultServer": {"slowstart": None},
            "servers": [{"name": f"cache{each}", "port": int(f"3{each}")} for each in CACHES],
        }
    ],
}

_UNITS: Final = {
    "stage-cache@.service": r"""[Service]
ExecStart=/usr/bin/valkey-server --port %i --bind 127.0.0.1 --save "" \
    --user default off --user stage on nopass ~* &* +@all
""",
    "stage-tunnel@.service": """[Service]
ExecStart=/usr/bin/socat TCP-LISTEN:3%i,bind=127.0.0.1,reuseaddr,fork,backlog=128 TCP:127.0.0.1:4%i
""",
}


@dataclass
class Load:
    """A load under way, and its result once it is over."""

    result: dict[str, Any] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """Requests that failed."""
        return int(self.result["errors"])

    @property
    def last_error(self) -> float:
        """When the last request began that failed, in seconds since the epoch; 0 if none did."""
        return float(self.result["last_error"] or 0)


class Stage(Balancer):
    """HAProxy on one lab host, and what it balances."""

    password = PASSWORD

    def set_up(self) -> None:
        """Start the caches, and put the runtime on the host."""
        self.install()
        self.host.run("cat >/root/stage-load.py", stdin=(HERE / "load.py").read_text())
        for name, text in _UNITS.items():
            self.host.run(f"cat >/run/systemd/system/{name}", stdin=text)
        self.host.run("systemctl daemon-reload")
        for each in CACHES:
            self.host.run(f"systemctl start stage-cache@4{each}")
            self.admit(each, self.password)

    def admit(self, cache: str, *passwords: str) -> None:
        """Let a cache take these passwords and no other; who is in, stays in."""
        hashes = [f"#{sha256(password.encode()).hexdigest()}" for password in passwords]
        rules = join(["default", "on", "resetpass", *hashes, "~*", "&*", "+@all"])
        ask = f"valkey-cli -p 4{cache} --user stage --pass any --no-auth-warning"
        wait = f"timeout 50 sh -c 'until {ask} ping >/dev/null 2>&1; do sleep 0.1; done'"
        answer = self.host.run(f"{wait}; {ask} acl setuser {rules}")
        assert answer.stdout.strip() == "OK", answer.stdout

    def apply(
        self, settings: dict[str, Any] | None = None, *, append: str = "", check: bool = True
    ) -> CompletedProcess[str]:
        """Carry out the role with these settings, or with the stage's own."""
        return self.carry_out(settings or SETTINGS, password=self.password, append=append, check=check)

    def open_tunnels(self) -> None:
        """Start the relays; socat comes with the role."""
        for each in CACHES:
            self.host.run(f"systemctl start stage-tunnel@{each}")

    def heal(self) -> None:
        """Undo every fault and wait until both caches serve again."""
        for each in CACHES:
            self.host.run(
                f"systemctl kill -s CONT stage-cache@4{each} 2>/dev/null; systemctl start stage-cache@4{each}"
            )
            self.admit(each, self.password)
        self.open_tunnels()
        self.wait_until_up()

    def wait_until_up(self, seconds: float = 30) -> None:
        """Wait until every cache is up.

        Raises:
            TimeoutError: With the state that it stayed in.
        """
        deadline = time.monotonic() + seconds
        while set(self.states().values()) != {"UP"}:
            if time.monotonic() > deadline:
                raise TimeoutError(str(self.states()))
            time.sleep(0.2)

    def states(self) -> dict[str, str]:
        """Status of each cache as HAProxy shows it."""
        return {name: row["status"] for name, row in self.statistics("caches").items() if name != "BACKEND"}

    @contextmanager
    def load(self, seconds: float, *, lasting: int = 8, passing: int = 2) -> Iterator[Load]:
        """Run the load beside what happens in the block, and wait for its end."""
        load = Load()
        words = ["python3", "/root/stage-load.py", f"127.0.0.1:{PORT}", self.password, seconds, lasting, passing]
        command = join(map(str, words))

        def work() -> None:
            load.result = json.loads(self.host.run(command, timeout=seconds + 60).stdout)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            time.sleep(1)  # its connections stand
            yield load
        finally:
            thread.join()


def varied(**changes: Any) -> dict[str, Any]:
    """The settings of the stage with other values in `defaultServer`."""
    data = deepcopy(SETTINGS)
    data["backends"][0]["defaultServer"] |= changes
    return data
