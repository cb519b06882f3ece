"""A stack as the dev stack is: given a real Kubernetes, sealed with it, and given the stand-in again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from lab import __main__ as lab_commands
from lab.cluster import node_image
from lab.machine import LabHost
from tests.integration.production.conftest import NAME, POLICIES, PROGRAM
from tests.integration.support import ROOT, Project
from tests.integration.tunnels.stack import PORT, carries, wait_for
from tests.integration.verification.verdict import verify

pytestmark = [pytest.mark.lab, pytest.mark.engine]

_PREFIX: Final = "sdt-switch"
_LAB: Final = {
    "prefix": _PREFIX,
    "hosts": ["app1", "lb1", "worker1", "worker2", "outsider"],
    "subnet": "10.203.72.0/24",
    "subnet6": None,
}
_CLUSTER: Final = {"controlPlane": "worker1", "workers": ["worker2"]}
_SERVICE: Final = {
    "applicationHosts": ["app1"],
    "loadBalancer": "lb1",
    "workers": [{"host": "worker1", "localPort": 30378}, {"host": "worker2", "localPort": 30380}],
}
_EXCEPTIONS: Final = ("--policy-pack-config", str(ROOT / "policies.dev.json"))
"""Valkey behind a NodePort speaks plaintext, as the vendor's does."""
_STAND_IN: Final = f"lab: the cache is a stand-in without Kubernetes, behind port {PORT} of worker1, worker2"


class Stack:
    """The stack, with or without a cluster."""

    def __init__(self, directory: Path) -> None:
        self.project = Project.create(directory, PROGRAM, lab=_PREFIX, name=NAME)
        self.report = directory / "report.json"

    def up(self, cluster: object) -> str:
        """Bring it up as `make up` does; returns what the verification says of a stack that is sealed."""
        self.project.configure({"lab": {**_LAB, "cluster": cluster}, "cacheService": _SERVICE, "firewall": {}})
        self.project.up(*POLICIES, *_EXCEPTIONS)
        assert self.project.up(*POLICIES, *_EXCEPTIONS).unchanged
        app1, outsider = (LabHost(name, _PREFIX) for name in ("app1", "outsider"))
        wait_for(app1, PORT)
        for node in ("worker1", "worker2"):
            assert not carries(outsider, PORT, LabHost(node, _PREFIX).address)
        found = verify(self.project, self.report, *_EXCEPTIONS)
        assert found.wrong == set(), found.text
        return found.text


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    lab_commands.build_cluster()
    made = Stack(tmp_path)
    yield made
    made.project.destroy()


def test_a_stack_gets_a_cluster_and_loses_it_again(stack: Stack) -> None:
    assert _STAND_IN in stack.up(None)
    version = node_image.version()
    real = f"lab: the cache is Valkey on Kubernetes {version}, behind NodePort {PORT} of worker1, worker2"
    assert real in stack.up(_CLUSTER)
    assert _STAND_IN in stack.up(None)
