"""Every example, and the dev stack, are ones that the engine and the policies take."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tests.integration.production.conftest import NAME, PROGRAM
from tests.integration.support import ROOT, Project

pytestmark = pytest.mark.engine

EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/Pulumi.yaml"))
SECRETS = {"hcl-connections": {"password": "only-for-this-test", "connectionsPassword": "for-this-test-too"}}
POLICIES = ("--policy-pack", str(ROOT / "policies"))


def copied(example: Path, place: Path) -> Path:
    """A copy of an example that finds its environment where the example does."""
    here = place / "examples" / example.name
    shutil.copytree(example, here, ignore=shutil.ignore_patterns("__pycache__"))
    (place / ".venv").symlink_to(ROOT / ".venv")
    (place / "state").mkdir()
    return here


def stack(directory: Path, place: Path, name: str = "test") -> Project:
    """A new stack of a project, in the back end of all stacks of this place."""
    environment = {
        "PULUMI_BACKEND_URL": f"file://{place}/state",
        "PULUMI_CONFIG_PASSPHRASE": "only for this test",
        "PULUMI_OPTION_STACK": name,
    }
    project = Project(directory, environment)
    project.pulumi("stack", "init")
    return project


def previewed(project: Project) -> str:
    """What a preview under the policies says; they let it pass."""
    exceptions = project.directory / "policies.json"
    declared = ("--policy-pack-config", str(exceptions)) if exceptions.exists() else ()
    text = project.pulumi("preview", "--diff", *POLICIES, *declared).text
    assert "[mandatory]" not in text
    return text


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_preview_under_the_policies(example: Path, tmp_path: Path) -> None:
    project = stack(copied(example, tmp_path), tmp_path)
    secrets = SECRETS.get(example.name, {})
    for key, value in secrets.items():
        project.pulumi("config", "set", "--secret", key, value)
    text = previewed(project)
    assert not [value for value in secrets.values() if value in text]


def test_spinnaker_by_halyard_too(tmp_path: Path) -> None:
    project = stack(copied(ROOT / "examples" / "spinnaker", tmp_path), tmp_path)
    project.pulumi("config", "set", "halyard", "true")
    text = previewed(project)
    assert "/home/spinnaker/.hal/default/service-settings/gate.yml" in text
    assert "SpinnakerService" not in text


def test_hcl_connections_is_the_same_as_configuration(tmp_path: Path) -> None:
    project = Project.create(tmp_path, PROGRAM, name=NAME)
    given = yaml.safe_load((ROOT / "examples" / "hcl-connections" / "configuration.yaml").read_text())
    project.configure({key.partition(":")[2]: value for key, value in given["config"].items()})
    for owner, password in (("cacheService", "only-for-this-test"), ("cacheService.connections", "for-this-test-too")):
        project.pulumi("config", "set", "--secret", "--path", f"{owner}.password", password)
    text = previewed(project)
    assert "for-this-test" not in text
    assert text.count("+ sealed-data-tier:firewall:Firewall: (create)") == 4


@pytest.mark.parametrize(
    "cluster", [None, {"controlPlane": "worker1", "workers": ["worker2"]}], ids=["plain", "cluster"]
)
def test_the_dev_stack_before_any_of_it_is_there(tmp_path: Path, cluster: dict[str, object] | None) -> None:
    project = Project.create(tmp_path, PROGRAM, name=NAME)
    shutil.copy(ROOT / "policies.dev.json", tmp_path / "policies.json")
    given = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text())
    config = {key.partition(":")[2]: value for key, value in given["config"].items()}
    project.configure({**config, "lab": {**config["lab"], "cluster": cluster}})
    assert "app1-runtime: not yet checkable: connection" in previewed(project)


def test_regions_ask_the_root_signs_and_regions_go_on(tmp_path: Path) -> None:
    here = copied(ROOT / "examples" / "redis-multi-region", tmp_path)
    root = stack(here / "root", tmp_path, "production")
    regions = [stack(here / "region", tmp_path, name) for name in ("eu", "us")]
    previewed(root)
    root.up(*POLICIES)
    for region in regions:
        previewed(region)
    # Nobody has the addresses of its hosts; what it asks for is there before it dials them.
    asked = regions[0].up(*POLICIES, check=False)
    assert "Run `pulumi up` of organization/redis-root/production, then this one again." in asked.text
    root.up(*POLICIES)
    assert "has not signed it yet" not in previewed(regions[0])
    issued = root.outputs()["signedCertificates"]
    assert len(issued["eu"]["certificates"]) == 4
    assert not issued["us"]["certificates"]
    root.destroy()
