"""A lab that is given a cluster which exists: that of another lab, by its administrator's file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.cluster.stack import Cluster
from tests.integration.support import Project

pytestmark = [pytest.mark.lab, pytest.mark.engine]

_LAB: Final = {
    "prefix": "sdt-guest",
    "hosts": ["app1"],
    "subnet": "10.203.71.0/24",
    "subnet6": None,
    "cache": None,
}
_PROGRAM: Final = """\
import pulumi
import pulumi_kubernetes as kubernetes

from components.settings import load
from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

lab = Lab("lab", LabArgs(settings=load(LabSettings, pulumi.Config().require_object("lab"), "lab")))
theirs = pulumi.ResourceOptions(provider=kubernetes.Provider("theirs", kubeconfig=lab.kubeconfig))
kubernetes.core.v1.ConfigMap("guest", metadata={"name": "guest"}, data={"a": "1"}, opts=theirs)
pulumi.export("kubeconfig", lab.kubeconfig)
"""


class Guest:
    """The lab, and the file by which it reaches the cluster."""

    def __init__(self, directory: Path, cluster: Cluster) -> None:
        self.kubeconfig = cluster.project.outputs()["kubeconfig"]
        self.file = directory / "admin.kubeconfig"
        self.file.touch(mode=0o600)
        self.file.write_text(self.kubeconfig)
        (directory / "project").mkdir()
        self.project = Project.create(directory / "project", _PROGRAM, lab=str(_LAB["prefix"]))

    def named(self, **cluster: Any) -> Project:
        """The project, with what its configuration says of the cluster."""
        self.project.configure({"lab": {**_LAB, "cluster": {"source": "kubeconfig", **cluster}}})
        return self.project

    def told(self) -> Project:
        """The project where the environment names the file."""
        return replace(self.project, environment={**self.project.environment, "KUBECONFIG": str(self.file)})


@pytest.fixture
def guest(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guest]:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    made = Guest(tmp_path, cluster)
    yield made
    made.named(kubeconfig=str(made.file)).destroy()


def test_a_stack_uses_a_cluster_that_exists(guest: Guest, cluster: Cluster) -> None:
    project = guest.named(kubeconfig=str(guest.file))
    up = project.up()
    assert cluster.kubectl("get", "configmap", "guest", "--output=jsonpath={.data.a}") == "1"
    assert project.outputs()["kubeconfig"] == guest.kubeconfig
    assert guest.kubeconfig not in up.text + project.pulumi("stack", "export").text
    assert project.up().unchanged
    # the same file, named as kubectl finds it
    uid = ("get", "configmap", "guest", "--output=jsonpath={.metadata.uid}")
    before = cluster.kubectl(*uid)
    guest.named()
    guest.told().up()
    assert guest.told().up().unchanged
    assert cluster.kubectl(*uid) == before
    refused = project.pulumi("up", "--yes", "--skip-preview", check=False).text
    assert "lab.cluster.kubeconfig: is missing with source: kubeconfig, and KUBECONFIG is not set" in refused
    guest.named(kubeconfig=str(guest.file)).destroy()
    assert not cluster.kubectl("get", "configmap", "guest", "--ignore-not-found")
