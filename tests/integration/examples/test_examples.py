"""Every example is one that the engine and the policies take."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.support import ROOT, Project

pytestmark = pytest.mark.engine

EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/Pulumi.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_preview_under_the_policies(example: Path, tmp_path: Path) -> None:
    here = tmp_path / "examples" / example.name
    shutil.copytree(example, here)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / "state").mkdir()
    environment = {
        "PULUMI_BACKEND_URL": f"file://{tmp_path}/state",
        "PULUMI_CONFIG_PASSPHRASE": "only for this test",
        "PULUMI_OPTION_STACK": "test",
    }
    project = Project(here, environment)
    project.pulumi("stack", "init")
    project.pulumi("config", "set", "--secret", "password", "only-for-this-test")
    outcome = project.pulumi("preview", "--diff", "--policy-pack", str(ROOT / "policies"))
    assert "[mandatory]" not in outcome.text
    assert "only-for-this-test" not in outcome.text
