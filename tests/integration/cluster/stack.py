"""A cluster as tests hold it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lab import __main__ as lab_commands
from lab.cluster import health
from lab.machine import LabHost
from tests.integration.support import Project, wait_for

LAB: Final = {
    "prefix": "sdt-cluster",
    "subnet": "10.203.70.0/24",
    "subnet6": None,
    "hosts": ["control", "worker1", "app1", "lb1", "outsider"],
    "cache": None,
    "cluster": {"controlPlane": "control", "workers": ["worker1"]},
}
PREFIX: Final = "sdt-cluster"
MACHINE: Final = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/netfilter/nf_conntrack_max",
)
"""What Kubernetes would set, and what belongs to the whole machine."""


def machine() -> dict[str, str]:
    """What the machine's kernel is set to."""
    files = {name: Path("/proc/sys", name) for name in MACHINE}
    return {name: file.read_text() for name, file in files.items() if file.exists()}


class Cluster:
    """A lab with a cluster.

    Attributes:
        before: What the machine's kernel was set to before.
    """

    def __init__(self, directory: Path) -> None:
        self.before = machine()
        lab_commands.build_cluster()
        program = (Path(__file__).parent / "program.py").read_text()
        self.project = Project.create(directory, program, {"lab": LAB}, lab=PREFIX)
        self.project.up()

    def host(self, name: str) -> LabHost:
        """One of the lab's hosts."""
        return LabHost(name, PREFIX)

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """What kubectl writes as an administrator."""
        return health.kubectl(PREFIX, *arguments, stdin=stdin, check=check)

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create or change objects."""
        self.kubectl("apply", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def refusal(self, *arguments: str) -> str:
        """What the API server says when it refuses."""
        command = ["kubectl", "--kubeconfig=/etc/kubernetes/admin.kubeconfig", *arguments]
        done = self.host("control").run(command, check=False)
        assert done.returncode, done.stdout
        return done.stderr

    @contextmanager
    def namespace(self, name: str) -> Iterator[str]:
        """A namespace, gone with everything in it afterwards."""
        self.kubectl("create", "namespace", name)
        try:
            # Pods cannot be created before.
            wait_for(lambda: "default" in self.kubectl("-n", name, "get", "serviceaccounts", "-o", "name"))
            yield name
        finally:
            self.kubectl("delete", "namespace", name)

    def exec(self, namespace: str, pod: str, *command: str, check: bool = True) -> str:
        """What a command in a pod writes."""
        return self.kubectl("-n", namespace, "exec", pod, "--", *command, check=check)

    def answers(self, namespace: str, pod: str, address: str, port: int) -> bool:
        """Whether a pod reaches a Valkey."""
        asked = ("timeout", "3", "valkey-cli", "-h", address, "-p", str(port), "ping")
        return self.exec(namespace, pod, *asked, check=False).strip() == "PONG"


def why() -> tuple[int, str]:
    """Exit code and text of the command that says why the cluster is not well."""
    done = subprocess.run(
        [".venv/bin/python", "-m", "lab", "cluster", "why", "--prefix", PREFIX],
        cwd=Path(__file__).resolve().parents[3],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
