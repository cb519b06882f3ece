"""What this version would do to a stack that an earlier one made: change files at most, never replace or forget."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.integration.production.conftest import NAME, PROGRAM
from tests.integration.production.recording import GOLDEN
from tests.integration.support import Project

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("recorded", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_recorded_stack_is_taken_over(recorded: Path, tmp_path: Path) -> None:
    project = Project.create(tmp_path, PROGRAM, name=NAME)
    project.configure(yaml.safe_load(recorded.with_suffix(".yaml").read_text()))
    assert "PRIVATE KEY" not in recorded.read_text()
    state = json.loads(recorded.read_text())
    salt = yaml.safe_load((tmp_path / "Pulumi.test.yaml").read_text())["encryptionsalt"]
    state["deployment"]["secrets_providers"] = {"type": "passphrase", "state": {"salt": salt}}
    project.pulumi("stack", "import", stdin=json.dumps(state))
    steps = json.loads(project.pulumi("preview", "--json").text)["steps"]
    assert {step["op"] for step in steps} <= {"same", "update"}, [
        (step["op"], step["urn"]) for step in steps if step["op"] not in {"same", "update"}
    ]
