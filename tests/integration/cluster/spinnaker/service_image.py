"""The image of a service: a JRE of Debian's, and clients of Redis by Maven, held against their checksums."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lab import host_image, images
from lab.console import LabError, step
from lab.daemon import install_debian_packages
from lab.machine import LabHost

REPOSITORY: Final = "sealed-data-tier.lab/spinnaker-service"
RELEASED: Final = "3.8.0"
"""Jedis of Spinnaker's releases until 2025."""
CURRENT: Final = "8.0.2"
"""Jedis of today, which holds a server's name against its certificate."""

_SOURCE: Final = Path(__file__).parent / "image"
_PROJECT: Final = """\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>sealed-data-tier.lab</groupId>
  <artifactId>service</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>redis.clients</groupId><artifactId>jedis</artifactId><version>{release}</version></dependency>
  </dependencies>
</project>
"""
_COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
# Jedis and what it runs with, by its release, with SHA-256.
_JARS: Final[Mapping[str, Mapping[str, str]]] = {
    RELEASED: {
        "jedis-3.8.0.jar": "7ae7c0fdd34ba732f0a05e1a84c67c3e1bcdeceb7a915dbd1dfdea5232f4e592",
        "slf4j-api-1.7.30.jar": "cdba07964d1bb40a0761485c6b1e8c2f8fd9eb1d19c53928ac0d7f9510105c57",
        "commons-pool2-2.11.1.jar": "ea0505ee7515e58b1ac0e686e4d1a5d9f7d808e251a61bc371aa0595b9963f83",
    },
    CURRENT: {
        "jedis-8.0.2.jar": "34fb85c67291fd70cee4e2e86240b0c155ea8b998175975e264d86baaf54ffc2",
        "slf4j-api-1.7.36.jar": "d3ef575e3e4979678dc01bf1dcce51021493b4d11fb7f1be8ad982877c16a1c0",
        "commons-pool2-2.13.1.jar": "f77a5060d6936a9144023584232f9de3f2248f1abfe156e9d31795f18770674f",
        "gson-2.14.0.jar": "2cbd119bf1961c28788310963dc80ba65f58cdeec1dd139c8bdb1240faa2c36f",
        "error_prone_annotations-2.48.0.jar": "b49c5c958316ed67a09c699dda9aa749caf434d51d863dea599ef36a49b9c855",
        "json-20260719.jar": "c243f45f9590c12694a4142ed3f07fc70dfb71e4daebd05ae234bf92a2da92a6",
        "redis-authx-core-0.1.1-beta2.jar": "cc56edb08b3df8562cddac108dca61907d21cc4ad04de05e9f5d1b01058390af",
    },
}


def ensure() -> str:
    """Returns the image's name, after loading it from the cache or building it where Docker does not have it."""
    image = images.named(REPOSITORY, images.context(_SOURCE), repr(_JARS).encode())
    images.ensure("Image of a service", image, lambda: _build(image))
    return image


def read(image: str, path: str) -> str:
    """Returns a file of the image."""
    command = ["docker", "run", "--rm", "--user=root", "--entrypoint=cat", image, path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def give(image: str, node: LabHost) -> None:
    """Puts the image where a node's pods find it."""
    taken = ["docker", "exec", "--interactive", node.container, "ctr", "--namespace=k8s.io", "images", "import", "-"]
    with subprocess.Popen(["docker", "image", "save", image], stdout=subprocess.PIPE) as saved:
        subprocess.run(taken, stdin=saved.stdout, stdout=subprocess.DEVNULL, check=True)


def _build(image: str) -> None:
    if not shutil.which("mvn"):
        install_debian_packages("Maven is missing", "maven")
    with tempfile.TemporaryDirectory() as made, step("Image of a service: its JRE and its client") as current:
        context = Path(made, "context")
        shutil.copytree(_SOURCE, context)
        for release, jars in _JARS.items():
            folder, project = context / "jedis" / release, Path(made, f"{release}.xml")
            project.write_text(_PROJECT.format(release=release))
            command = ["mvn", "--batch-mode", "--quiet", f"--file={project}", _COPY, "-DincludeScope=runtime"]
            current.run(*command, f"-DoutputDirectory={folder}")
            _hold_against(jars, folder)
        current.run("docker", "build", "--build-arg", f"BASE={host_image.base()}", "--tag", image, context)


def _hold_against(jars: Mapping[str, str], folder: Path) -> None:
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    if found != jars:
        raise LabError(f"{', '.join(sorted(found))} are not what they were: their SHA-256 are {found}, not {jars}")
