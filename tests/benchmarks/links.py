"""The same commands to the same server in plaintext, by its own TLS, through a pair of stunnels and by `ssh -L`.

The server takes plaintext and TLS side by side (`tls.plaintext`), so nothing but the link differs. Server and client
are two hosts of a lab, the load is made by valkey-benchmark on the client.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.machine import LabHost
from tests.benchmarks.measure import Processors, Sample
from tests.integration.support import Project

PREFIX: Final = "sdt-tls-bench"
_SERVER: Final = "10.203.56.11"
_LAB: Final = {
    "prefix": PREFIX,
    "hosts": ["server", "client"],
    "subnet": "10.203.56.0/24",
    "subnet6": None,
    "cache": None,
}
_HERE: Final = Path(__file__).parent
_MIGRATION: Final = {"because": "to be measured beside TLS", "until": "2099-12-31"}
_INSTALL: Final = "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes stunnel4"
_INSTALL_S: Final = 300
_READY: Final = "for t in $(seq 100); do ss -Hltn 'sport = :{port}' | grep -q . && exit; sleep 0.1; done; exit 1"
_CLIENTS: Final = 50
# Others' share of the processors above which a measurement is made again, as long as there is time.
_DISTURBED: Final = 0.05
_MEASUREMENT_S: Final = 0.5

PLAINTEXT: Final = "plaintext"
TLS: Final = "TLS"
STUNNEL: Final = "stunnel at both ends"
SSH: Final = "ssh -L"
#: Where a client dials, by link.
_DIALLED: Final = {
    PLAINTEXT: f"-h {_SERVER} -p 6379",
    TLS: f"-h {_SERVER} -p 6380 --tls --cacert tls/root.crt --cert tls/client.crt --key tls/client.key",
    STUNNEL: "-h 127.0.0.1 -p 7379",
    SSH: "-h 127.0.0.1 -p 7380",
}


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the clients do.

    Attributes:
        name: As the results call it.
        options: Of valkey-benchmark.
        first: Commands of the first run, which does not count: it tells how many a second has.
    """

    name: str
    options: str
    first: int


GET: Final = Load(name="GET", options="-t get", first=5_000)
SET: Final = Load(name="SET", options="-t set", first=5_000)
GET_16: Final = Load(name="GET, pipelining 16", options="-t get -P 16", first=50_000)
SET_16: Final = Load(name="SET, pipelining 16", options="-t set -P 16", first=50_000)
LOADS: Final = (GET, GET_16, SET, SET_16)
#: A connection for each command.
CONNECTIONS: Final = Load(name="GET, a connection each", options="-t get -k 0", first=500)
_ONE: Final = Load(name="one", options="-t set", first=1)


@dataclass(frozen=True)
class Case:
    """What is measured: a load over a link, of one variant of the configuration."""

    load: Load
    link: str
    variant: str = ""

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.load.name, self.link, self.variant)))


@dataclass(frozen=True, order=True)
class Measurement:
    """One measurement; the least disturbed one is the least.

    Attributes:
        others: What others took of the processors, as a share.
        rate: Commands a second.
        cost: What both hosts took of the processors for a command, in microseconds.
    """

    others: float
    rate: float
    cost: float


class Links:
    """The lab, the server and everything between it and its clients.

    Args:
        directory: An empty directory for the project.
        say: Tells how far it is.
    """

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self._say = say
        self._done: dict[Case, list[Measurement]] = {}
        self._requests: dict[Case, int] = {}
        self._flavour: str | None = None
        directory.mkdir(parents=True)
        program = (_HERE / "programs" / "links.py").read_text()
        self._project = Project.create(directory, program, {"lab": _LAB}, lab=PREFIX)
        self._server, self._client = LabHost("server", PREFIX), LabHost("client", PREFIX)

    def destroy(self) -> None:
        """Remove all of it."""
        self._project.destroy()

    def serve(self, **settings: Any) -> None:
        """Bring the server to this configuration, and give the client what it needs."""
        if (flavour := settings.get("flavour")) != self._flavour:
            # Two servers do not share a port.
            self._flavour = flavour
            self._project.configure({"lab": _LAB})
            self._project.up()
        tls = {"plaintext": _MIGRATION, **settings.pop("tls", {})}
        self._project.configure({"lab": _LAB, "redis": {"nodes": [{"host": "server"}], "tls": tls, **settings}})
        self._project.up()
        known = self._project.outputs()
        texts = {
            "root.crt": known["redis"]["authority"],
            "client.crt": known["redis"]["clientCertificate"],
            "client.key": known["redis"]["clientKey"],
            "password": known["redis"]["passwords"]["app"],
            "ssh.key": known["privateKey"],
            "known_hosts": f"{_SERVER} {known['hostKey']}\n",
        }
        for name, text in texts.items():
            self._client.run(f"umask 077; mkdir -p /root/tls; cat >/root/tls/{name}", stdin=text)
        self._run(Case(_ONE, TLS), _ONE.first)  # what GET gets

    def tunnel(self, flavour: str) -> None:
        """Put stunnel at both ends with the same certificates, both asked for, and an SSH forward beside it."""
        here = f"/etc/{flavour}/tls/server"
        both = "foreground = yes\npid =\n[redis]\nverifyChain = yes\n"
        ends = {
            self._server: f"accept = {_SERVER}:7379\nconnect = {_SERVER}:6379\n"
            f"cert = {here}/server.crt\nkey = {here}/server.key\nCAfile = {here}/root.crt\n",
            self._client: f"client = yes\naccept = 127.0.0.1:7379\nconnect = {_SERVER}:7379\ncheckIP = {_SERVER}\n"
            "cert = /root/tls/client.crt\nkey = /root/tls/client.key\nCAfile = /root/tls/root.crt\n",
        }
        for host, end in ends.items():
            host.run(_INSTALL, timeout=_INSTALL_S)
            host.run("cat >/etc/stunnel/bench.conf", stdin=both + end)
            host.run("systemd-run --quiet --unit=bench-stunnel stunnel /etc/stunnel/bench.conf")
            host.run(_READY.format(port=7379))
        self._client.run(
            "systemd-run --quiet --unit=bench-ssh ssh -N -i /root/tls/ssh.key"
            " -o UserKnownHostsFile=/root/tls/known_hosts -o ExitOnForwardFailure=yes"
            f" -L 127.0.0.1:7380:{_SERVER}:6379 ops@{_SERVER}"
        )
        self._client.run(_READY.format(port=7380))

    def measure(self, cases: Sequence[Case], runs: int, *, limit_s: float) -> None:
        """Measure cases in turn, each round beginning with another one.

        Args:
            cases: What to measure.
            runs: How often, while nobody else took more than a twentieth of the processors.
            limit_s: After which disturbed measurements count too, the least disturbed ones first.
        """
        processors = Processors([self._server.container, self._client.container])
        end, number = time.monotonic() + limit_s, 0
        for case in cases:
            self._requests[case] = max(case.load.first, int(self._run(case, case.load.first) * _MEASUREMENT_S))
        while number < runs or time.monotonic() < end:
            left = [case for case in cases if number < runs or self._undisturbed(case) < runs]
            if not left:
                return
            first = number % len(left)
            for case in (*left[first:], *left[:first]):
                with processors.watched() as shares:
                    rate = self._run(case, self._requests[case])
                others, cost = shares[0].others, shares[0].own / self._requests[case] * 1e6
                self._done.setdefault(case, []).append(Measurement(others, rate, cost))
                self._say(f"{case}: {rate:,.0f}/s, {cost:.2f} µs each (others took {others:.0%} of the processors)")
            number += 1

    def measured(self, case: Case, runs: int) -> list[Measurement]:
        """The least disturbed measurements of a case."""
        return sorted(self._done[case])[:runs]

    def disturbance(self, cases: Sequence[Case], runs: int) -> Sample:
        """What others took of the processors meanwhile, as shares."""
        return Sample(tuple(each.others for case in cases for each in self.measured(case, runs)))

    def rates(self, case: Case, runs: int) -> Sample:
        """Commands a second of a case."""
        return Sample(tuple(each.rate for each in self.measured(case, runs)))

    def costs(self, case: Case, runs: int) -> Sample:
        """Microseconds of processor time that a command takes, both hosts together."""
        return Sample(tuple(each.cost for each in self.measured(case, runs)))

    def _undisturbed(self, case: Case) -> int:
        return sum(each.others <= _DISTURBED for each in self._done.get(case, ()))

    def _run(self, case: Case, requests: int) -> float:
        command = f"valkey-benchmark --csv -c {_CLIENTS} --user app -a $(cat tls/password) {_DIALLED[case.link]}"
        told = self._client.run(f"cd /root && {command} {case.load.options} -n {requests}").stdout.splitlines()[-1]
        return float(told.split('","')[1])


@dataclass(frozen=True)
class Variant:
    """A setting that is not the default."""

    name: str
    settings: Mapping[str, Any]


DEFAULTS: Final = Variant("defaults", {})
VARIANTS: Final = (
    DEFAULTS,
    Variant("ioThreads 2", {"ioThreads": 2}),
    Variant("ChaCha20-Poly1305", {"tls": {"ciphersuites": "TLS_CHACHA20_POLY1305_SHA256"}}),
    Variant("rsa-3072", {"certificates": {"algorithm": "rsa-3072"}}),
)
