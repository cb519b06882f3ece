"""The lab hosts that the contenders work on: their start state, their end state, and what sshd saw."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from components.host import Directory, File
from lab.__main__ import down
from lab.machine import LabHost, hosts
from tests.benchmarks.measure import Run
from tests.benchmarks.role import CONFIGURATION, DROP_IN, ENVIRONMENT, FILES, PROBE, USER, load_balancer, render
from tests.integration.support import Project

PASSWORD: Final = "b3nchmark-only"
_LAB: Final = {
    "prefix": "sdt-bench",
    "hosts": [f"host{number}" for number in range(1, 7)],
    "subnet": "10.203.19.0/24",
    "subnet6": None,
    "cache": None,
}
_PREFIX: Final = "sdt-bench"
_SCRIPTS_S: Final = 300
_PROGRAM: Final = Path(__file__).parent / "programs" / "hosts.py"


class Hosts:
    """Six hosts of their own; as long as `directory` knows them, those of the last run are used again."""

    def __init__(self, directory: Path) -> None:
        self._project = self._open(directory)
        self._project.up()
        #: Address, user, hostKey and privateKey of each, by name.
        self.endpoints: Mapping[str, Mapping[str, Any]] = self._project.outputs()["hosts"]
        self._hosts = hosts(_PREFIX)
        self._start: dict[str, str] = {}

    @staticmethod
    def _open(directory: Path) -> Project:
        record = directory / "environment.json"
        if record.exists():
            return Project(directory, json.loads(record.read_text()))
        down(_PREFIX)
        directory.mkdir(parents=True)
        project = Project.create(directory, _PROGRAM.read_text(), {"lab": _LAB})
        record.write_text(json.dumps(dict(project.environment)))
        return project

    def destroy(self) -> None:
        """Remove them."""
        self._project.destroy()

    def remember_start(self) -> None:
        """Take the present state for the one in which every run starts; after a run that broke off, that one's."""
        self._script("start.sh", "remember")
        self.reset()
        self._start = self._script("start.sh", "facts")

    def check_start(self) -> None:
        """Make sure that every host is in its start state."""
        now = self._script("start.sh", "facts")
        for name, text in now.items():
            changed = set(text.splitlines()) ^ set(self._start[name].splitlines())
            assert not changed, f"{name} is not in its start state: {sorted(changed)[:10]}"

    def reset(self) -> None:
        """Put every host back to its start state, with the package on it."""
        self._script("start.sh", "reset")

    def remember_start_without_package(self) -> None:
        """From now on every run starts without the package."""
        self.reset_without_package()
        self._start = self._script("start.sh", "facts")

    def reset_without_package(self) -> None:
        """Put every host back to that state."""
        self._script("start.sh", "without-package")

    def update_package_lists(self) -> None:
        """Do what a server's daily timer does."""
        self._everywhere(lambda host: host.run("apt-get -qq update", timeout=_SCRIPTS_S))

    def check_end(self, maxconn: int) -> None:
        """Make sure that every host is in the end state."""
        spec = load_balancer(maxconn, "")
        contents = {
            CONFIGURATION: render("haproxy.cfg.j2", maxconn=maxconn),
            ENVIRONMENT: render("environment.cfg.j2", password=PASSWORD),
            PROBE: render("probe.conf"),
            DROP_IN: render("haproxy.service.conf"),
        }
        wanted: list[str] = []
        places: tuple[Directory | File, ...] = (*spec.directories, *spec.files)
        for place in places:
            wanted.append(f"{place.path} {place.mode:o} {place.owner}:{place.group}")
            if place.path in contents:
                wanted.append(f"{hashlib.sha256(contents[place.path].encode()).hexdigest()}  -")
        wanted += [
            f"{USER}:/nonexistent:/usr/sbin/nologin",
            USER,
            "haproxy ii ",
            "active running enabled no",
            "127.0.0.1:30379",
            f"-f {ENVIRONMENT}",
            f"-f {CONFIGURATION}",
            f"Maxconn: {maxconn}",
        ]
        for name, text in self._script("end.sh", *(place.path for place in places)).items():
            assert text.splitlines() == wanted, f"{name} is not in the end state: {text}"

    def processes(self) -> dict[str, tuple[str, str]]:
        """HAProxy's main process and workers on every host: a restart changes both, a reload the latter."""
        script = "systemctl show -P MainPID haproxy.service; pgrep -P $(systemctl show -P MainPID haproxy.service)"
        texts = self._everywhere(lambda host: host.run(script).stdout)
        return {name: (text.split()[0], " ".join(text.split()[1:])) for name, text in texts.items()}

    def phases(self, run: Run) -> Phases:
        """Split a run by what sshd and sudo wrote into the hosts' journals."""
        command = (
            f"journalctl --sync; journalctl --no-pager -o short-unix -t sshd-session -t sudo --since=@{run.started:.0f}"
        )
        texts = self._everywhere(lambda host: host.run(command).stdout)
        return Phases.read(run, texts)

    def _script(self, name: str, *arguments: str) -> dict[str, str]:
        text = (FILES / name).read_text()
        return self._everywhere(
            lambda host: host.run(["sh", "-s", "--", *arguments], stdin=text, timeout=_SCRIPTS_S).stdout
        )

    def _everywhere(self, do: Callable[[LabHost], Any]) -> dict[str, Any]:
        with ThreadPoolExecutor(len(self._hosts)) as pool:
            return dict(zip(self._hosts, pool.map(do, self._hosts.values()), strict=True))


@dataclass(frozen=True, kw_only=True)
class Phases:
    """Where the seconds of a run went.

    Attributes:
        before: From its start to the first login on any host: command line, engine, program, plugins.
        hosts: From the first login to the last logout.
        after: From the last logout to its end.
        ssh: What a host's sessions took beside the runtime, mean of the hosts.
        runtime: What the runtime took on a host, mean of the hosts.
    """

    before: float
    hosts: float
    after: float
    ssh: float
    runtime: float

    @staticmethod
    def read(run: Run, journals: Mapping[str, str]) -> Phases:
        """Read them from the hosts' journals."""
        user = r"for user ops"
        logins = [_times(text, r"Accepted publickey for ops") for text in journals.values()]
        logouts = [_times(text, rf"sshd:session\): session closed {user}") for text in journals.values()]
        begun = [_times(text, r"sudo:session\): session opened for user root") for text in journals.values()]
        ended = [_times(text, r"sudo:session\): session closed for user root") for text in journals.values()]
        first, last = min(map(min, logins)), max(map(max, logouts))
        sessions, runtime = _total(logins, logouts), _total(begun, ended)
        return Phases(
            before=first - run.started,
            hosts=last - first,
            after=run.started + run.seconds - last,
            ssh=(sessions - runtime) / len(journals),
            runtime=runtime / len(journals),
        )


def _times(journal: str, pattern: str) -> list[float]:
    return [float(line.split()[0]) for line in journal.splitlines() if re.search(pattern, line)]


def _total(begun: list[list[float]], ended: list[list[float]]) -> float:
    return sum(map(sum, ended)) - sum(map(sum, begun))
