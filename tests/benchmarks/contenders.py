"""The contenders: each brings all hosts to the same end state, and takes leave of them."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from tests.benchmarks import peers
from tests.benchmarks.hosts import PASSWORD, Hosts
from tests.benchmarks.measure import Run, run
from tests.benchmarks.role import FILES
from tests.integration.support import ROOT, Project

_HERE: Final = Path(__file__).parent
# `make` keeps Python from writing byte code; every contender may have its own.
_PYTHON: Final = {"PYTHONDONTWRITEBYTECODE": ""}


class Contender(Protocol):
    """One way to the end state."""

    name: str

    def converge(self, maxconn: int) -> Run:
        """Bring all hosts to the end state, as its user would."""

    def leave(self) -> None:
        """Bring all hosts back to the start state."""


class Ours:
    """`pulumi up` of this project.

    Args:
        hosts: The hosts.
        directory: An empty directory for its project and state.
        options: More options of `pulumi up`.
    """

    def __init__(self, name: str, hosts: Hosts, directory: Path, options: Sequence[str] = ()) -> None:
        self.name = name
        self._hosts, self._options = hosts, options
        directory.mkdir(parents=True)
        self._project = Project.create(directory, (_HERE / "programs" / "ours.py").read_text())

    def converge(self, maxconn: int) -> Run:
        """Run `pulumi up` as `make up` does."""
        self._project.configure({"hosts": self._hosts.endpoints, "password": PASSWORD, "maxconn": maxconn})
        pulumi = ROOT / "toolchain" / "pulumi"
        command = [str(pulumi), "--non-interactive", "up", "--yes", "--skip-preview", *self._options]
        return run(command, directory=self._project.directory, environment={**self._project.environment, **_PYTHON})

    def leave(self) -> None:
        """Let destroy restore the hosts."""
        self._project.destroy()


class Ansible:
    """`ansible-playbook`, tuned: see ansible/ansible.cfg."""

    def __init__(self, hosts: Hosts, directory: Path, venv: Path) -> None:
        self.name = f"ansible-core {peers.version('ansible-core')}"
        self._hosts, self._venv = hosts, venv
        self._inventory = directory / "inventory.json"
        key, known_hosts = _credentials(hosts, directory)
        entries = {
            name: {
                "ansible_host": each["address"],
                "ansible_user": each["user"],
                "ansible_ssh_private_key_file": str(key),
            }
            for name, each in hosts.endpoints.items()
        }
        shared = {
            "password": PASSWORD,
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={known_hosts}",
        }
        self._inventory.write_text(json.dumps({"all": {"hosts": entries, "vars": shared}}))
        # A socket's path has to be short.
        self._sockets = Path(tempfile.mkdtemp(prefix="bench-"))
        self._environment = {
            "ANSIBLE_CONFIG": str(_HERE / "ansible" / "ansible.cfg"),
            "ANSIBLE_HOME": str(directory / "ansible"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._sockets),
            **_PYTHON,
        }

    def converge(self, maxconn: int) -> Run:
        """Run the playbook over new connections, then close them."""
        command = [str(self._venv / "bin" / "ansible-playbook"), "-i", str(self._inventory)]
        command += ["-e", f"maxconn={maxconn}", "playbook.yml"]
        try:
            return run(command, directory=_HERE / "ansible", environment=self._environment)
        finally:
            for socket in self._sockets.iterdir():
                close = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "-"]
                subprocess.run(close, capture_output=True, check=False)

    def leave(self) -> None:
        """Reset the hosts; it has no undo."""
        self._hosts.reset()


class Pyinfra:
    """`pyinfra`."""

    def __init__(self, hosts: Hosts, directory: Path, venv: Path) -> None:
        self.name = f"pyinfra {peers.version('pyinfra')}"
        self._hosts, self._directory, self._venv = hosts, directory, venv
        key, known_hosts = _credentials(hosts, directory)
        inventory = directory / "hosts.json"
        entries = [_pyinfra_host(name, each, key, known_hosts) for name, each in hosts.endpoints.items()]
        inventory.write_text(json.dumps(entries))
        self._environment = {"BENCHMARK_HOSTS": str(inventory), **_PYTHON}

    def converge(self, maxconn: int) -> Run:
        """Run the deploy."""
        scripts = (str(_HERE / "pyinfra" / "inventory.py"), str(_HERE / "pyinfra" / "deploy.py"))
        command = [str(self._venv / "bin" / "pyinfra"), "-y", *scripts, "--data", f"maxconn={maxconn}"]
        return run(command, directory=self._directory, environment=self._environment)

    def leave(self) -> None:
        """Reset the hosts; it has no undo."""
        self._hosts.reset()


def _credentials(hosts: Hosts, directory: Path) -> tuple[Path, Path]:
    """Write the key and the pinned host keys as OpenSSH reads them."""
    directory.mkdir(parents=True, exist_ok=True)
    key, known_hosts = directory / "key", directory / "known_hosts"
    endpoints = list(hosts.endpoints.values())
    key.touch(mode=0o600)
    key.write_text(endpoints[0]["privateKey"])
    known_hosts.write_text("".join(f"{each['address']} {each['hostKey']}\n" for each in endpoints))
    return key, known_hosts


def _pyinfra_host(name: str, endpoint: Mapping[str, str], key: Path, known_hosts: Path) -> dict[str, str]:
    return {
        "name": name,
        "ssh_hostname": endpoint["address"],
        "ssh_user": endpoint["user"],
        "ssh_key": str(key),
        "ssh_known_hosts_file": str(known_hosts),
        "ssh_strict_host_key_checking": "yes",
        "files": str(FILES),
        "password": PASSWORD,
    }
