"""The Docker resources that a lab is made of, on a real daemon."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.toolchain.engine import Project

PROGRAM = """\
import pulumi
import pulumi_docker as docker

labels = [{"label": "tested", "value": "yes"}]
network = docker.Network("network", ipam_configs=[{"subnet": "192.0.2.0/29"}], labels=labels)
volume = docker.Volume("volume", labels=labels)
container = docker.Container(
    "container",
    image="IMAGE",
    command=["/never", "started"],
    start=False,
    must_run=False,
    hostname="tested",
    networks_advanced=[{"name": network.name, "ipv4_address": "192.0.2.3", "aliases": ["alias"]}],
    volumes=[{"volume_name": volume.name, "container_path": "/data"}],
    uploads=[{"file": "/etc/uploaded", "content": "text", "permissions": "0600"}],
    tmpfs={"/run": "size=1m"},
    capabilities={"adds": ["CAP_NET_ADMIN"], "drops": ["CAP_SYS_RESOURCE"]},
    security_opts=["seccomp=unconfined"],
    cgroupns_mode="host",
    ports=[{"internal": 22, "external": 0, "ip": "127.0.0.1"}],
    labels=labels,
)
for name, made in {"network": network, "volume": volume, "container": container}.items():
    pulumi.export(name, made.name)
"""


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """Make an image in which there is nothing to start."""
    try:
        docker("version")
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no Docker daemon answers")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    imported = subprocess.run(["docker", "import", "-"], input=packed.getvalue(), capture_output=True, check=True)
    name = imported.stdout.decode().strip()
    yield name
    docker("image", "rm", name)


@pytest.mark.engine
def test_lab_resources(tmp_path: Path, image: str) -> None:
    project = Project(tmp_path / "project", PROGRAM.replace("IMAGE", image))
    try:
        project.pulumi("up", "--yes", "--skip-preview")
        names = project.outputs()
        (container,) = json.loads(docker("inspect", names["container"]))
        assert_made(container, names)
        assert docker("cp", f"{names['container']}:/etc/uploaded", "-").count("text") == 1

        project.pulumi("refresh", "--yes", "--skip-preview")
        assert "4 unchanged" in project.pulumi("preview")
    finally:
        project.pulumi("destroy", "--yes", "--skip-preview")
    for kind, name in names.items():
        assert name not in docker(kind, "ls", *(["--all"] if kind == "container" else []))


def assert_made(container: dict[str, Any], names: dict[str, str]) -> None:
    config, host = container["Config"], container["HostConfig"]
    assert (config["Hostname"], config["Labels"], config["Cmd"]) == ("tested", {"tested": "yes"}, ["/never", "started"])
    assert host["Tmpfs"] == {"/run": "size=1m"}
    assert host["CapAdd"] == ["CAP_NET_ADMIN"]
    assert host["CapDrop"] == ["CAP_SYS_RESOURCE"]
    assert host["SecurityOpt"] == ["seccomp=unconfined"]
    assert host["CgroupnsMode"] == "host"
    assert host["PortBindings"]["22/tcp"][0]["HostIp"] == "127.0.0.1"
    assert [mount["Name"] for mount in container["Mounts"]] == [names["volume"]]
    network = container["NetworkSettings"]["Networks"][names["network"]]
    assert network["IPAMConfig"]["IPv4Address"] == "192.0.2.3"
    assert "alias" in network["Aliases"]
