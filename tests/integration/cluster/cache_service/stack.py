"""This repository's own program on hosts of the tests' cluster, before a cache that is in the cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from lab.cluster.cache_service import NAMESPACE
from lab.machine import LabHost
from tests.integration.cluster.stack import Cluster
from tests.integration.production.conftest import NAME, POLICIES, PROGRAM
from tests.integration.support import Outcome, Project
from tests.integration.tunnels.stack import PORT, carries
from tests.integration.verification.faults import edited

NODES: Final = ("control", "worker1")
PASSWORD: Final = "correct-horse-battery"
SERVICE: Final[Mapping[str, Any]] = {
    "applicationHosts": ["app1"],
    "loadBalancer": "lb1",
    "workers": [{"host": "worker1", "localPort": 30378}],
    "otherNodes": ["control"],
    "password": PASSWORD,
}
_PROXY: Final = "/etc/kubernetes/kube-proxy.yaml"
_RESTART: Final = "systemctl restart kube-proxy"


class Service:
    """The cache in the cluster, and the stack that seals the way to it."""

    def __init__(self, directory: Path, cluster: Cluster) -> None:
        self.cluster = cluster
        made = cluster.project.outputs()
        self._hosts = made["hosts"]
        config = {"kubeconfig": made["kubeconfig"], "password": PASSWORD, "port": PORT}
        for name in ("workload", "stack"):
            (directory / name).mkdir()
        workload = (Path(__file__).parent / "workload.py").read_text()
        self.workload = Project.create(directory / "workload", workload, config)
        self.project = Project.create(directory / "stack", PROGRAM, name=NAME)
        self.workload.up()

    def destroy(self) -> None:
        """Leave hosts and cluster as they were."""
        self.project.destroy()
        self.workload.destroy()

    def up(self, *, target: str = "loopback", firewall: bool = True) -> Outcome:
        """Run `pulumi up` under the policies.

        Args:
            target: Where the tunnel comes out on the worker.
            firewall: Whether the stack has one.
        """
        workers = [{**worker, "target": target} for worker in SERVICE["workers"]]
        config = {"hosts": self._hosts, "cacheService": {**SERVICE, "workers": workers}}
        self.project.configure({**config, "firewall": {}} if firewall else config)
        return self.project.up(*POLICIES)

    def host(self, name: str) -> LabHost:
        """One of the hosts."""
        return self.cluster.host(name)

    def reached_from(self, name: str, port: int = PORT) -> set[str]:
        """The nodes whose NodePort answers a host on their addresses."""
        return {node for node in NODES if carries(self.host(name), port, self.host(node).address)}

    def logins(self) -> int:
        """How often sshd let the deploying machine in, on all hosts."""
        count = "journalctl -u ssh --no-pager | grep -cF 'Accepted publickey for ops' || :"
        return sum(int(self.host(name).run(count).stdout) for name in self._hosts)

    def in_pod(self, *command: str) -> str:
        """What Valkey in its pod says to a command."""
        # The password goes by standard input, as any password does.
        login = 'read -r REDISCLI_AUTH && export REDISCLI_AUTH && exec valkey-cli --no-auth-warning "$@"'
        words = ("exec", "--stdin", "deployment/cache-service", "--", "bash", "-c", login, "valkey", *command)
        return self.cluster.kubectl("-n", NAMESPACE, *words, stdin=f"{PASSWORD}\n").strip()

    def at_app1(self, *command: str) -> str:
        """What the cache says to a command at the application's own port."""
        login = f'read -r REDISCLI_AUTH && export REDISCLI_AUTH && exec valkey-cli -p {PORT} --no-auth-warning "$@"'
        return self.host("app1").run(["bash", "-c", login, "valkey", *command], stdin=f"{PASSWORD}\n").stdout.strip()

    @contextmanager
    def kube_proxy(self, change: str) -> Iterator[None]:
        """Run kube-proxy with another configuration on every node; `change` is an expression of sed."""
        with ExitStack() as before:
            for node in map(self.host, NODES):
                before.callback(node.run, _RESTART)
                before.enter_context(edited(node, _PROXY, change))
                node.run(_RESTART)
            yield
