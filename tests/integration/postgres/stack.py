"""The stack that tests of a pair break and change: a lab of its own, with an application server."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Final

from components.settings import load
from lab.machine import LabHost
from lab.settings import LabSettings
from tests.integration.support import Outcome, Project, wait_for

PREFIX: Final = "sdt-pg"
HOSTS: Final = ("db1", "db2", "witness")
NODES: Final = ("db1", "db2")
APPLICATION: Final = "app"
LAB: Final = {
    "prefix": PREFIX,
    "hosts": [*HOSTS, APPLICATION],
    "subnet": "10.203.61.0/24",
    "subnet6": "fd5d:7a1e:203:61::/64",
    "cache": None,
}
ADDRESSES: Final = {host: f"10.203.61.{11 + at}" for at, host in enumerate(HOSTS)}
APPLICATION_ADDRESS: Final = "10.203.61.14"
VIP: Final = "10.203.61.100"
DATABASE: Final = "lunadirectordb"
USER: Final = "lunadirector"
PAIR: Final[dict[str, Any]] = {
    "name": "ccc",
    "nodes": [{"host": "db1", "names": ["db1"]}, {"host": "db2", "names": ["db2"]}],
    "witness": {"host": "witness"},
    "databases": [{"name": DATABASE, "user": USER, "clients": [f"{APPLICATION_ADDRESS}/32"]}],
    "virtualIp": {"addresses": [f"{VIP}/24"], "interface": "eth0"},
    "names": ["db.example.com"],
    "memory": {"sharedBuffers": "128MB"},
    "settleSeconds": 120,
}
#: Where an application has its files.
CLIENT: Final = "/root/client"
_PROGRAM: Final = Path(__file__).with_name("program.py")
_WRITER: Final = Path(__file__).with_name("writer.py")
_SETTLE_S: Final = 120
_WRITER_ENDS_S: Final = 60


@dataclass
class Written:
    """What an application did, and felt.

    Attributes:
        confirmed: Writes whose commit was confirmed, by kind of connection: time, number, and timeline.
        attempted: Writes that were tried.
        errors: What went wrong, with its time.
    """

    confirmed: dict[str, list[tuple[float, int, int]]] = field(default_factory=dict)
    attempted: list[int] = field(default_factory=list)
    errors: list[tuple[float, str]] = field(default_factory=list)

    @property
    def numbers(self) -> set[int]:
        """All that was confirmed."""
        return {number for known in self.confirmed.values() for _, number, _ in known}

    @property
    def longest_gap(self) -> float:
        """Longest time (s) in which no write was confirmed."""
        times = sorted(at for known in self.confirmed.values() for at, _, _ in known)
        return max((later - earlier for earlier, later in pairwise(times)), default=0.0)

    @property
    def change(self) -> float | None:
        """Time (s) from the last write on the first timeline to the first on the next; None if there is one only."""
        writes = [(timeline, at) for known in self.confirmed.values() for at, _, timeline in known]
        first = min(timeline for timeline, _ in writes)
        later = [at for timeline, at in writes if timeline > first]
        return min(later) - max(at for timeline, at in writes if timeline == first) if later else None


class Stack:
    """The stack and its hosts.

    Attributes:
        project: Its Pulumi project.
        configured: What it was brought to last; None if that failed.
        authority: Generations of the authority; nobody goes back from one that is dropped.
        lab: The lab's settings.
        addresses: IPv4 addresses by host.
        default: The pair's settings, if a test has none of its own.
        firewall: Whether the hosts have a firewall.
    """

    configured: Mapping[str, Any] | None = None
    authority: Mapping[str, Any]

    def __init__(self, directory: Path, lab: Mapping[str, Any] = LAB, default: Mapping[str, Any] = PAIR) -> None:
        self.authority = {}
        self.lab, self.default, self.firewall = lab, default, False
        known = load(LabSettings, lab, "lab")
        self.addresses = {host: known.address(host) for host in known.hosts}
        program, config = _PROGRAM.read_text(), {"lab": lab}
        # By the name of this repository, as verification reads it.
        self.project = Project.create(directory, program, config, lab=lab["prefix"], name="sealed-data-tier")
        self.project.up()
        # The packages' own clients, as an application server has them.
        install = "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends"
        packages = "postgresql-client python3-psycopg2 curl etcd-client"
        self.application.run(f"{install} {packages}", timeout=300)

    def host(self, name: str) -> LabHost:
        """One of its hosts."""
        return LabHost(name, self.lab["prefix"])

    @property
    def application(self) -> LabHost:
        """The application server; where a lab has none, the witness."""
        return self.host(APPLICATION if APPLICATION in self.lab["hosts"] else "witness")

    def up(self, config: Mapping[str, Any] | None, *, check: bool = True) -> Outcome:
        """Bring the pair to this configuration; None removes it."""
        given = {} if config is None else {"postgres": config}
        self.project.configure({"lab": self.lab, "authority": self.authority, "firewall": self.firewall, **given})
        outcome = self.project.up(check=check)
        self.configured = None if outcome.code else config
        if config is not None and outcome.code == 0:
            self.outputs = self.project.outputs()["postgres"]
            self.equip()
        return outcome

    def settle(self) -> None:
        """Bring the pair to how it is by default, both nodes well."""
        if self.configured != self.default:
            self.up(self.default)
        self.wait_until_whole()

    def equip(self) -> None:
        """Give the application what the outputs have for it now."""
        out = self.outputs
        files = {
            "root.crt": out["authority"],
            "client.crt": out["clientCertificate"],
            "client.key": out["clientKey"],
            # In one file: a URL names the role that the password is for.
            "connection": f"{out['dsns'][DATABASE]}\n{out['passwords'][USER]}\n",
            "password": out["passwords"][USER],
        }
        client = self.application
        client.run(["install", "-d", "-m", "0700", CLIENT])
        for name, text in files.items():
            client.run(f"umask 077; cat > {CLIENT}/.{name} && mv {CLIENT}/.{name} {CLIENT}/{name}", stdin=text)

    # --- the pair ------------------------------------------------------------------------------------------------

    def pair(self, host: str, *words: str, check: bool = True) -> CompletedProcess[str]:
        """Run the pair's command on a node."""
        return self.host(host).run(["postgres-pair", *words], check=check, timeout=180)

    def members(self) -> list[dict[str, Any]]:
        """What Patroni knows, as some node has it."""
        for host in NODES:
            run = self.pair(host, "list", "-f", "json", check=False)
            if run.returncode == 0:
                return list(json.loads(run.stdout))
        return []

    def leader(self) -> str:
        """The node that leads."""
        wait_for(lambda: any(each["Role"] == "Leader" for each in self.members()), _SETTLE_S)
        return str(next(each["Member"] for each in self.members() if each["Role"] == "Leader"))

    def other(self, host: str) -> str:
        """The other node."""
        return next(each for each in NODES if each != host)

    def leads(self, host: str) -> bool:
        """Whether the command for virtual IPs says so; asked as a user without rights."""
        command = ["runuser", "-u", "nobody", "--", self.outputs["leaderCheck"]]
        return self.host(host).run(command, check=False).returncode == 0

    def whole(self) -> bool:
        """Whether one node leads and the other one is in sync."""
        roles = sorted((each["Role"], each["State"]) for each in self.members())
        return roles == [("Leader", "running"), ("Sync Standby", "streaming")]

    def wait_until_whole(self) -> None:
        """Wait for that, and for the virtual IP to be where the leader is."""
        wait_for(lambda: self.whole() and self.followed(), _SETTLE_S)

    def holders(self) -> list[str]:
        """Nodes that hold the virtual IP."""
        held = f"ip -o address show to {VIP}"
        return [host for host in NODES if self.host(host).run(held, check=False).stdout]

    def followed(self) -> bool:
        """Whether the virtual IP, if there is one, is where the leader is, and nowhere else."""
        if "virtualIp" not in (self.configured or self.default):
            return True
        leaders = [each["Member"] for each in self.members() if each["Role"] == "Leader"]
        return bool(leaders) and self.holders() == leaders

    def etcd(self, *words: str, check: bool = True) -> CompletedProcess[str]:
        """Administer etcd, from the witness."""
        tls = "/etc/etcd/tls"
        urls = ",".join(f"https://{self.addresses[host]}:2379" for host in HOSTS)
        given = ["--cacert", f"{tls}/root.crt", "--cert", f"{tls}/administrator.crt"]
        command = ["etcdctl", "--endpoints", urls, *given, "--key", f"{tls}/administrator.key", *words]
        return self.host("witness").run(command, check=check)

    def etcd_leader(self) -> str:
        """The host that has etcd's leader; empty while not all members answer."""
        status = self.etcd("endpoint", "status", check=False)
        if status.returncode:
            return ""
        members = [line.split(", ") for line in self.etcd("member", "list").stdout.splitlines()]
        names = {member[0]: member[2] for member in members}
        # Endpoint, ID, version, size, whether it leads.
        states = [line.split(", ") for line in status.stdout.splitlines()]
        return next((names[state[1]] for state in states if state[4] == "true"), "")

    def lead_etcd(self, host: str) -> None:
        """Let this host have etcd's leader."""
        wait_for(self.etcd_leader, _SETTLE_S)
        if self.etcd_leader() != host:
            members = [line.split(", ") for line in self.etcd("member", "list").stdout.splitlines()]
            self.etcd("move-leader", next(member[0] for member in members if member[2] == host))

    def postmaster(self, host: str) -> str:
        """The process id of a node's server."""
        return self.host(host).run("head -n 1 /var/lib/postgresql/17/ccc/postmaster.pid").stdout.strip()

    def timeline(self) -> int:
        """The timeline of the leader."""
        return max(int(each["TL"]) for each in self.members())

    def postgres(self, host: str, sql: str, *, database: str = "postgres", check: bool = True) -> CompletedProcess[str]:
        """Run SQL on a node as its superuser, through the local socket."""
        command = ["runuser", "-u", "postgres", "--", "psql", "-XAtq", "-d", database, "-c", sql]
        return self.host(host).run(command, check=check)

    def story(self) -> str:
        """What Patroni and etcd did lately, without their regular rounds: for failures that nobody can see again."""
        quiet = "no action|Lock owner|probing_status|File |HTTP"
        command = f"journalctl -u patroni -u etcd -o short-precise --since -5min --no-pager | grep -vE '{quiet}'"
        return "\n".join(f"{host}: {self.host(host).run(command, check=False).stdout[-6000:]}" for host in HOSTS)

    # --- the application -----------------------------------------------------------------------------------------

    def psql(self, conninfo: str, sql: str = "SELECT 1", *, root: str = f"{CLIENT}/root.crt") -> CompletedProcess[str]:
        """Run SQL as the application, from its host."""
        given = f"{conninfo} sslrootcert={root} dbname={DATABASE} user={self.outputs['users'][USER]} connect_timeout=5"
        script = f"PGPASSWORD=$(cat {CLIENT}/password) exec psql -XAtq {shlex.quote(given)} -c {shlex.quote(sql)}"
        return self.application.run(script, check=False)

    @contextmanager
    def writing(self) -> Iterator[Written]:
        """Write beside what happens in the block."""
        client, written = self.application, Written()
        client.run(f"cat > {CLIENT}/writer.py", stdin=_WRITER.read_text())
        client.run(["rm", "-f", f"{CLIENT}/stop", f"{CLIENT}/begun"])
        command = ["docker", "exec", client.container, "python3", f"{CLIENT}/writer.py", CLIENT]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                wait_for(lambda: self._has_begun() or process.poll() is not None)
                yield written
            finally:
                client.run(["touch", f"{CLIENT}/stop"])
                told, _ = process.communicate(timeout=_WRITER_ENDS_S)
        for kind, seen in json.loads(told).items():
            written.confirmed[kind] = [(at, number, timeline) for at, number, timeline in seen["confirmed"]]
            written.attempted += seen["attempted"]
            written.errors += [(at, text) for at, text in seen["errors"]]

    def _has_begun(self) -> bool:
        return self.application.run(["test", "-e", f"{CLIENT}/begun"], check=False).returncode == 0 and self.rows() > 5

    def rows(self) -> int:
        """How many writes there are, as the application finds the primary."""
        # By its own address a server may still answer as the primary whose Patroni is frozen.
        both = f"{self.addresses['db1']},{self.addresses['db2']}"
        host = VIP if "virtualIp" in (self.configured or self.default) else both
        run = self.psql(f"host={host} sslmode=verify-full target_session_attrs=primary", "SELECT count(*) FROM written")
        return int(run.stdout or 0) if run.returncode == 0 else 0

    def read(self) -> set[int]:
        """All writes that the primary has."""
        told = self.postgres(self.leader(), "SELECT number FROM written", database=DATABASE).stdout
        return {int(line) for line in told.split()}

    def remove_data(self) -> None:
        """Take away what a pair has left."""
        for host in HOSTS:
            self.host(host).run("rm -rf /var/lib/postgresql /var/lib/patroni-etcd")
