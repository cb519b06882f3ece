"""Two load balancers, or three, that share virtual IPs, and what a client and their kernels see of it."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lab.machine import LabHost
from tests.integration.support import Outcome, Project, wait_for

PREFIX: Final = "sdt-vip"
NAMES: Final = ("lb1", "lb2")
#: A host that is left alone, unless a test makes it the third load balancer.
THIRD: Final = "lb3"
LAB: Final[dict[str, Any]] = {
    "prefix": PREFIX,
    "hosts": [*NAMES, "outsider", THIRD],
    "subnet": "10.203.60.0/24",
    "subnet6": "fd5d:7a1e:203:60::/64",
    "cache": None,
}
ADDRESSES: Final = {"lb1": "10.203.60.11", "lb2": "10.203.60.12", "outsider": "10.203.60.13"}
VIP: Final = "10.203.60.5"
VIP6: Final = "fd5d:7a1e:203:60::5"
PORT: Final = 8080
SETTINGS: Final[dict[str, Any]] = {
    "nodes": [{"host": name} for name in NAMES],
    "interface": "eth0",
    "instances": [{"name": "front", "routerId": 51, "addresses": [f"{VIP}/24", f"{VIP6}/64"]}],
    "hook": {"command": ["/usr/local/bin/hook"]},
    "mail": {"server": ADDRESSES["outsider"], "sender": "keepalived@example.com", "recipients": ["ops@example.com"]},
}
#: The same for a machine so busy that adverts are late.
PATIENT: Final[dict[str, Any]] = {**SETTINGS, "instances": [{**SETTINGS["instances"][0], "lostAdverts": 30}]}
#: Seconds after which a backup takes silence for the holder's end: adverts by their number, and VRRP's skew time.
ADVERT_TIMEOUT_S: Final = 0.7
MAILS: Final = "/var/tmp/mails"
#: Not below /tmp or /var/tmp, which the service has of its own.
HOOKED: Final = "/var/cache/hooked"
_HERE: Final = Path(__file__).parent
_WATCHED: Final = "/var/tmp/addresses"
_ANSWERS: Final = "/var/tmp/answers"
# Slow on purpose: events that came at the same time would be told of in a mix.
_HOOK: Final = f"""#!/bin/sh
echo "begin $(id -un) $*" >>{HOOKED}
sleep 0.3
echo "end $(id -un) $*" >>{HOOKED}
"""
_EVENT: Final = re.compile(rf"\[(\S+)\] (Deleted )?.* inet {re.escape(VIP)}/")

Span = tuple[float, float]


@dataclass(frozen=True)
class Answers:
    """What a client was answered: when, and by which host."""

    each: list[tuple[float, str]]

    def longest_gap(self) -> float:
        """Seconds of the longest time without an answer."""
        times = [at for at, _ in self.each]
        return max(later - earlier for earlier, later in itertools.pairwise(times))

    @property
    def hosts(self) -> list[str]:
        """Hosts that answered, in the order in which they took turns."""
        names = [name for _, name in self.each]
        return [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]


@dataclass
class Client:
    """An outsider that connects all the time.

    Attributes:
        answers: What it was answered, once it is over.
    """

    host: LabHost
    answers: Answers = field(default_factory=lambda: Answers([]))

    def read(self) -> Answers:
        """What it has been answered so far."""
        lines = [line.split() for line in self.host.run(["cat", _ANSWERS]).stdout.splitlines()]
        return Answers([(float(words[0]), words[1]) for words in lines if len(words) == 2])

    def answered_since(self, moment: float) -> list[str]:
        """Hosts that answered after a moment."""
        return Answers([each for each in self.read().each if each[0] > moment]).hosts


class Pair:
    """The stack and its hosts.

    Attributes:
        project: Its Pulumi project.
        hosts: Load balancers by name, the third one only where the stack has it.
        outsider: The client.
    """

    def __init__(self, directory: Path) -> None:
        program = (_HERE / "program.py").read_text()
        self.project = Project.create(directory, program, {"lab": LAB}, lab=PREFIX, name="sealed-data-tier")
        self.hosts = {name: LabHost(name, PREFIX) for name in NAMES}
        self.outsider = LabHost("outsider", PREFIX)
        self._brought: dict[str, Any] | None = None
        self.project.up()
        for host in (*self.hosts.values(), LabHost(THIRD, PREFIX)):
            host.run(
                f"cat >/usr/local/bin/hook; chmod 0755 /usr/local/bin/hook; touch {HOOKED}; chmod 0666 {HOOKED}",
                stdin=_HOOK,
            )
            host.run("cat >/usr/local/lib/who.py", stdin=(_HERE / "who.py").read_text())
            _serve(host, "who", "/usr/bin/python3 /usr/local/lib/who.py")
            _serve(host, "watch", f"/bin/sh -c 'exec ip -ts -o monitor address >>{_WATCHED}'")
        for name in ("client", "sink"):
            self.outsider.run(f"cat >/usr/local/lib/{name}.py", stdin=(_HERE / f"{name}.py").read_text())
        _serve(self.outsider, "sink", f"/usr/bin/python3 /usr/local/lib/sink.py {MAILS}")

    def up(self, vip: Mapping[str, Any] | None = SETTINGS, *, check: bool = True, **config: Any) -> Outcome:
        """Bring the stack to this configuration; without `vip` the load balancers go."""
        values = {"lab": LAB, **({} if vip is None else {"vip": vip}), **config}
        self.project.configure(values)
        self._brought = None
        outcome = self.project.up(check=check)
        self._brought = values if outcome.code == 0 else None
        if vip is not None:
            self.hosts = {node["host"]: LabHost(node["host"], PREFIX) for node in vip["nodes"]}
        return outcome

    def restore(self, vip: Mapping[str, Any] = SETTINGS, **config: Any) -> None:
        """Bring the stack to this configuration, the usual one by default, unless it is there already."""
        if self._brought != {"lab": LAB, "vip": vip, **config}:
            self.up(vip, **config)
        self.settle()

    def holders(self, address: str = VIP) -> list[str]:
        """Hosts that hold a virtual IP."""
        return [name for name, host in self.hosts.items() if _holds(host, address)]

    @property
    def holder(self) -> str:
        """The one host that holds the virtual IP; on a busy machine it may be on its way to it."""
        found: list[str] = []

        def one() -> bool:
            found[:] = self.holders()
            return len(found) == 1

        wait_for(one)
        return found[0]

    def other(self, name: str) -> str:
        """The other load balancer."""
        return next(each for each in NAMES if each != name)

    def state(self, name: str) -> dict[str, Any]:
        """What keepalived on a host thinks of its first instance."""
        told = self.hosts[name].run("/usr/local/lib/keepalived-vip/vip state").stdout
        return dict(json.loads(told)[0]["data"])

    def well(self) -> bool:
        """Whether one host holds the address, all others stand by, and a client is answered by the holder."""
        if any(host.run("systemctl is-active -q keepalived", check=False).returncode for host in self.hosts.values()):
            return False
        holders = self.holders()
        if len(holders) != 1 or self.holders(VIP6) != holders:
            return False
        if sorted(self.state(name)["state"] for name in self.hosts) != [*[1] * (len(self.hosts) - 1), 2]:
            return False
        if any(_asked(host, "127.0.0.1") != name for name, host in self.hosts.items()):
            return False
        return self.asked() == holders[0]

    def asked(self, address: str = VIP) -> str:
        """The host that answers the client; empty if none does."""
        return _asked(self.outsider, address)

    def settle(self) -> None:
        """Wait until all is well."""
        wait_for(self.well, 60)

    @contextmanager
    def dialled(self, address: str = VIP) -> Iterator[Client]:
        """Have a client connect beside what happens in the block."""
        client = Client(self.outsider)
        words = f"systemd-run --collect --unit=client python3 /usr/local/lib/client.py {address} {PORT} {_ANSWERS}"
        self.outsider.run(f"rm -f {_ANSWERS}; {words}; until [ -s {_ANSWERS} ]; do sleep 0.05; done")
        try:
            yield client
            over = time.time()
            wait_for(lambda: client.answered_since(over))
        finally:
            self.outsider.run("systemctl stop client", check=False)
        client.answers = client.read()

    def spans(self, name: str, since: float) -> list[Span]:
        """When a host held the virtual IP, after a moment; a span that is not over ends now."""
        lines = self.hosts[name].run(["cat", _WATCHED]).stdout.splitlines()
        events = sorted(
            (datetime.fromisoformat(found[1]).replace(tzinfo=UTC).timestamp(), found[2] is None)
            for line in lines
            if (found := _EVENT.match(line))
        )
        spans: list[Span] = []
        begun = None
        for at, added in events:
            if added:
                begun = begun or at
            elif begun:
                spans.append((begun, at))
                begun = None
        if begun:
            spans.append((begun, time.time()))
        return [(max(start, since), end) for start, end in spans if end > since]

    @contextmanager
    def without_power(self, name: str) -> Iterator[None]:
        """Take the power from a host; it boots again when the block is over."""
        host = self.hosts[name]
        host.kill()
        at = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
        try:
            yield
        finally:
            host.start()
            # It could not write down itself that it held the virtual IP no longer.
            host.run(f"echo '[{at}] Deleted by a loss inet {VIP}/32' >>{_WATCHED}")

    def both_held(self, since: float) -> float:
        """Seconds after a moment in which both hosts held the virtual IP."""
        some, others = (self.spans(name, since) for name in NAMES)
        return sum(
            max(0.0, min(end, other_end) - max(start, other_start))
            for start, end in some
            for other_start, other_end in others
        )

    def mails(self) -> list[str]:
        """What the mail server has taken."""
        text = self.outsider.run(f"cat {MAILS} 2>/dev/null || :").stdout
        return [mail for mail in text.split("\n====\n") if mail.strip()]

    def hooked(self, name: str) -> list[str]:
        """When the hook on a host began and ended, as whom, and what it was told."""
        return self.hosts[name].run(["cat", HOOKED]).stdout.splitlines()

    def keepalived(self, name: str) -> str:
        """The process id of keepalived on a host: as long as it is the same, nothing was restarted."""
        return self.hosts[name].run("systemctl show -P MainPID keepalived").stdout.strip()

    def said(self, name: str, since: float) -> str:
        """What keepalived on a host logged after a moment."""
        return self.hosts[name].run(f"journalctl -u keepalived -o cat --since @{since:.3f} --no-pager").stdout

    def destroy(self) -> None:
        """Take all of it away."""
        with contextlib.suppress(AssertionError):
            self.up(None)
        self.project.destroy()


def _asked(host: LabHost, address: str) -> str:
    dial = f"timeout 2 bash -c 'read -r name </dev/tcp/{address}/{PORT}; echo $name'"
    return host.run(dial, check=False).stdout.strip()


def _serve(host: LabHost, unit: str, command: str) -> None:
    """Run something now and after each boot."""
    text = f"[Service]\nExecStart={command}\nRestart=always\n[Install]\nWantedBy=multi-user.target\n"
    host.run(f"cat >/etc/systemd/system/{unit}.service && systemctl enable -q --now {unit}", stdin=text)


def _holds(host: LabHost, address: str) -> bool:
    return host.run(f"ip -o address show to {address} 2>/dev/null", check=False).stdout != ""
