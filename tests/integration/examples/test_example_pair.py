"""examples/ccc-ha as it is written, but for its hosts' network and keys, on lab hosts."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from lab.machine import LabHost
from tests.integration.examples.test_examples import POLICIES, copied, stack
from tests.integration.support import ROOT, Project, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

_PREFIX: Final = "sdt-example"
_NETWORK: Final = "10.203.64."
_LAB: Final = {
    "prefix": _PREFIX,
    "subnet": f"{_NETWORK}0/24",
    "subnet6": None,
    "hosts": ["db1", "db2", "lb1"],
    "cache": None,
}
_HOSTS: Final = """
import pulumi

from components.settings import load
from lab.hosts import Lab, LabArgs
from lab.settings import LabSettings

lab = Lab("lab", LabArgs(settings=load(LabSettings, pulumi.Config().require_object("lab"), "lab")))
pulumi.export("hostKeys", {name: host.host_key for name, host in lab.endpoints.items()})
pulumi.export("privateKey", lab.endpoints["db1"].private_key)
"""
_VIP: Final = f"{_NETWORK}100"
_CLIENT: Final = f"{_NETWORK}21"
_DATABASE: Final = "lunadirectordb"


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Project]:
    """The lab hosts alone."""
    directory = tmp_path / "hosts"
    directory.mkdir()
    project = Project.create(directory, _HOSTS, {"lab": _LAB}, lab=_PREFIX)
    project.up()
    yield project
    project.destroy()


@contextmanager
def agent(key: str, place: Path) -> Iterator[str]:
    """An SSH agent that has a key; its socket."""
    socket = str(place / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(Path(socket).exists)
            subprocess.run(["ssh-add", "-q", "-"], env={"SSH_AUTH_SOCK": socket}, input=key, text=True, check=True)
            yield socket
        finally:
            process.terminate()


def host(name: str) -> LabHost:
    return LabHost(name, _PREFIX)


def query(dsn: str, password: str, root: str) -> subprocess.CompletedProcess[str]:
    """Ask as an application does, from the load balancer's host."""
    client = host("lb1")
    client.run("umask 077; cat >/run/password", stdin=password)
    client.run("cat >/run/root.crt", stdin=root)
    given = f"{dsn}&sslrootcert=/run/root.crt&connect_timeout=3"
    return client.run(
        f"PGPASSWORD=$(cat /run/password) psql -XAtq '{given}' -c 'SELECT current_database()'", check=False
    )


def test_the_example_serves_its_applications_and_nobody_else(hosts: Project, tmp_path: Path) -> None:
    known = hosts.outputs()
    example = copied(ROOT / "examples" / "ccc-ha", tmp_path)
    program = example / "__main__.py"
    text = program.read_text().replace("192.0.2.", _NETWORK)
    for name, key in known["hostKeys"].items():
        text = re.sub(rf'("{name}": \("[0-9.]+", )"[^"]+"', rf'\1"{key}"', text)
    program.write_text(text)
    project = stack(example, tmp_path)
    with agent(known["privateKey"], tmp_path) as socket:
        project = replace(project, environment={**project.environment, "SSH_AUTH_SOCK": socket})
        project.up(*POLICIES)
        ccc = project.outputs()["ccc"]
        install = "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y postgresql-client"
        host("lb1").run(install, timeout=300)
        asked = ccc["dsns"][_DATABASE], ccc["passwords"]["lunadirector"], ccc["authority"]
        refused = query(*asked)
        assert "timeout expired" in refused.stderr, refused.stderr
        host("lb1").run(f"ip address add {_CLIENT}/32 dev eth0 && ip route replace {_VIP}/32 dev eth0 src {_CLIENT}")
        answered = query(*asked)
        assert answered.stdout == f"{_DATABASE}\n", answered.stderr
        assert project.up(*POLICIES).unchanged
        project.destroy()
    for name in ("db1", "db2"):
        left = host(name).run("ss -Hltn | grep -cE ':(5432|8008|2379|2380) '", check=False)
        assert left.stdout == "0\n"
