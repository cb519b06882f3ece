#!/usr/bin/python3
"""Watches the other node of a pair, and has it fenced where that shortens an outage: run by systemd on both nodes.

Patroni waits for the lease of a leader that is gone. Where a command can confirm that the leader's host is off, there
is nothing to wait for: its lock is removed, and the standby takes over at once. This asks for that only if

- the leader's host answers nothing at all, not even "connection refused", on any of three ports, for `silence` seconds,
- this node is its synchronous standby, in etcd and by its own PostgreSQL,
- etcd answers with a majority, and failover is not paused,

and then removes the lock only if that host still answers nothing, and lock and standby are still the same. Where the
command fails, or takes too long, nothing is removed: the lease decides, as without it.
"""

from __future__ import annotations

import base64
import json
import selectors
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from errno import ECONNREFUSED, EINPROGRESS
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final, NamedTuple

_FACTS: Final = Path("/usr/local/lib/postgres-pair/fence.json")
_ROUND_S: Final = 0.5
_KNOCK_S: Final = 1.0  # for one answer of the other host
_ANSWER_S: Final = 3  # for one answer of etcd
_AGAIN_S: Final = 5.0  # after a command that did not confirm


class Key(NamedTuple):
    """What etcd has at a key.

    Attributes:
        value: Its value, empty if there is none.
        revision: Of its last change, 0 if there is none.
    """

    value: str
    revision: int


class Fence:
    """What this node knows of the other one, and of the command."""

    def __init__(self, facts: Path) -> None:
        known = json.loads(facts.read_text())
        self.scope: str = known["scope"]
        self.name: str = known["name"]
        self.other: str = known["other"]
        self.address: str = known["address"]
        self.rest_port: int = known["restPort"]
        self.ports: list[int] = known["ports"]
        self.root = Path(known["root"])
        self.etcd: list[str] = known["etcd"]
        self.etcd_tls = Path(known["etcdTls"])
        self.command: list[str] = known["command"]
        self.user: str = known["user"]
        self.timeout: int = known["timeout"]
        self.silence: float = known["silence"]

    # --- looking -------------------------------------------------------------------------------------------------

    def answers(self) -> bool:
        """Whether Patroni there answers or, if it does not, whether anything of its host does."""
        return self._patroni_answers() or self._host_answers()

    def _patroni_answers(self) -> bool:
        """Ask as everybody does: who only knocks fills the logs there."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        context = ssl.create_default_context(cafile=str(self.root))
        try:
            urllib.request.urlopen(
                f"https://{host}:{self.rest_port}/liveness", timeout=_KNOCK_S, context=context
            ).close()
        except urllib.error.HTTPError:
            return True
        except (OSError, HTTPException):
            return False
        return True

    def _host_answers(self) -> bool:
        """Whether it takes or refuses a connection on any port; that nothing listens there is an answer."""
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        with selectors.DefaultSelector() as waiting:
            knocking = [socket.socket(family, socket.SOCK_STREAM) for _ in self.ports]
            try:
                for knock, port in zip(knocking, self.ports, strict=True):
                    knock.setblocking(False)
                    code = knock.connect_ex((self.address, port))
                    if code in (0, ECONNREFUSED):
                        return True
                    if code == EINPROGRESS:
                        waiting.register(knock, selectors.EVENT_WRITE)
                return _anybody(waiting, time.monotonic() + _KNOCK_S)
            finally:
                for knock in knocking:
                    knock.close()

    def _etcdctl(self, *words: str, told: str = "") -> str | None:
        """Ask etcd; None if it has no majority, which is no moment to fence anybody."""
        tls = self.etcd_tls
        command = ["etcdctl", "--endpoints", ",".join(self.etcd), "--command-timeout", f"{_ANSWER_S}s"]
        command += ["--dial-timeout", "1s", "--cacert", str(tls / "root.crt"), "--cert", str(tls / "administrator.crt")]
        command += ["--key", str(tls / "administrator.key"), *words]
        run = subprocess.run(command, input=told, capture_output=True, text=True, check=False)
        return None if run.returncode else run.stdout

    def keys(self) -> dict[str, Key] | None:
        """Return what Patroni keeps in etcd, read through its majority; None if there is none."""
        told = self._etcdctl("get", "--prefix", self._key(""), "--write-out", "json")
        if told is None:
            return None
        found = {}
        for each in json.loads(told).get("kvs", ()):
            name = base64.b64decode(each["key"]).decode().removeprefix(self._key(""))
            found[name] = Key(base64.b64decode(each.get("value", "")).decode(), each["mod_revision"])
        return found

    def _key(self, name: str) -> str:
        return f"/service/{self.scope}/{name}"

    def replaceable(self, keys: dict[str, Key]) -> bool:
        """Whether the other node leads, and this one has all that it confirmed."""
        leader, sync = keys.get("leader"), keys.get("sync")
        if leader is None or leader.value != self.other or sync is None:
            return False
        state = json.loads(sync.value or "{}")
        in_sync = state.get("leader") == self.other and state.get("sync_standby") == self.name
        paused = json.loads(keys["config"].value).get("pause") if "config" in keys else True
        return in_sync and not paused and self._follows(keys)

    def _follows(self, keys: dict[str, Key]) -> bool:
        """Whether Patroni here has lately told etcd that its PostgreSQL runs as a replica."""
        own = json.loads(keys[f"members/{self.name}"].value) if f"members/{self.name}" in keys else {}
        return own.get("state") in ("running", "streaming") and own.get("role") == "replica"

    # --- doing ---------------------------------------------------------------------------------------------------

    def confirmed_off(self) -> bool:
        """Run the command in a unit of its own, all of which is gone when its time is over."""
        limits = {
            "User": self.user,
            "RuntimeMaxSec": str(self.timeout),
            "TimeoutStopSec": "1",
            "KillMode": "control-group",
        }
        properties = [word for name, value in limits.items() for word in ("--property", f"{name}={value}")]
        unit = ["systemd-run", "--quiet", "--wait", "--collect", "--unit", "postgres-pair-fence-command"]
        run = subprocess.run([*unit, *properties, "--", *self.command, self.other, self.address], check=False)
        return run.returncode == 0

    def remove_lock(self, keys: dict[str, Key]) -> bool:
        """Remove the lock, if it and the standby are still what they were; and write down who did."""
        leader, sync = keys["leader"], keys["sync"]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        transaction = (
            f'mod("{self._key("leader")}") = "{leader.revision}"\n'
            f'value("{self._key("leader")}") = "{leader.value}"\n'
            f'mod("{self._key("sync")}") = "{sync.revision}"\n'
            f"\ndel {self._key('leader')}\n"
            f"put {self._key('fenced')} {self.other},{now},{self.name}\n"
            "\n\n"
        )
        return (self._etcdctl("txn", told=transaction) or "").startswith("SUCCESS")

    def watch(self) -> None:
        """Look, for ever."""
        heard, silent = time.monotonic(), False
        while True:
            time.sleep(_ROUND_S)
            # Whether anything of its host answers is the question, once Patroni there does not.
            silent = not (self._host_answers() if silent else self.answers())
            if not silent:
                heard = time.monotonic()
            elif time.monotonic() - heard >= self.silence and not self.fence():
                time.sleep(_AGAIN_S)

    def fence(self) -> bool:
        """Have the other node fenced if that is of use; return False where the command did not confirm."""
        keys = self.keys()
        if keys is None or not self.replaceable(keys):
            return True
        say(f"{self.other} leads and answers nothing: running {self.command[0]}")
        if not self.confirmed_off():
            say(f"{self.command[0]} does not confirm that {self.other} is off: its lease decides")
            return False
        if self._host_answers():
            say(f"{self.command[0]} says that {self.other} is off, and it answers: its lease decides")
            return False
        if self.remove_lock(keys):
            say(f"removed the lock of {self.other}: {self.command[0]} says that it is off")
        else:
            say(f"the lock of {self.other} is not what it was: left alone")
        return True


def _anybody(waiting: selectors.BaseSelector, end: float) -> bool:
    while waiting.get_map() and (left := end - time.monotonic()) > 0:
        for key, _ in waiting.select(left):
            knock: Any = key.fileobj
            if knock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in (0, ECONNREFUSED):
                return True
            waiting.unregister(knock)
    return False


def say(text: str) -> None:
    """Tell the journal what was done."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    Fence(_FACTS).watch()
