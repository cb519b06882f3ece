"""Programs and policy packs in Python run as they do on the official host, whichever of the two is in use."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.integration.toolchain.engine import REPOSITORY, Project

pytestmark = pytest.mark.engine

CONFIGURED = """\
import pulumi

config = pulumi.Config()
pulumi.export("plain", config.get("plain"))
pulumi.export("hushed", config.get_secret("hushed"))
pulumi.export("where", f"{pulumi.get_project()}/{pulumi.get_stack()}")
"""

PACK = """\
import pulumi
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy


def no_word(word):
    def validate(args, report):
        if word in args.props.get("create", ""):
            stack = f"{pulumi.get_project()}/{pulumi.get_stack()}"
            report(f"{word} is not welcome in {stack}, {pulumi.Config().get('plain')}")

    return validate


PolicyPack(
    name="words",
    policies=[
        ResourceValidationPolicy(
            name=level.value,
            description="Keeps a word out.",
            enforcement_level=level,
            validate=no_word(level.value),
        )
        for level in (EnforcementLevel.ADVISORY, EnforcementLevel.MANDATORY)
    ],
)
"""


def test_configuration(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", CONFIGURED)
    project.pulumi("up", "--yes", "--skip-preview")
    assert project.outputs()["where"] == "probe/test"
    project.pulumi("config", "set", "plain", "open")
    project.pulumi("config", "set", "--secret", "hushed", "hush")
    project.pulumi("up", "--yes", "--skip-preview")
    assert project.outputs() == {"plain": "open", "hushed": "hush", "where": "probe/test"}
    assert "hush" not in project.pulumi("stack", "output", "hushed")


@pytest.mark.parametrize(
    ("program", "shown", "hidden"),
    [
        ("def f():\n    raise ValueError('wrong')\n\nf()\n", ["__main__.py", "in f", "ValueError: wrong"], ["runpy"]),
        ("import pulumi\nraise pulumi.RunError('put it right')\n", ["error: put it right"], ["Traceback"]),
        ("import sys\nsys.exit(3)\n", ["program exited with non-zero exit code: 3"], ["Traceback"]),
        ("import pulumi\npulumi.info('noted')\nprint('printed')\n", ["noted", "printed"], ["Traceback", "error"]),
    ],
)
def test_what_a_program_says(tmp_path: Path, program: str, shown: list[str], hidden: list[str]) -> None:
    project = Project(tmp_path / "project", program)
    said = project.pulumi("preview", succeeds="info" in program)
    assert all(text in said for text in shown)
    assert not any(text in said for text in hidden)


def test_about(project: Project) -> None:
    about = json.loads(project.pulumi("about", "--json"))
    assert about["runtime"]["executable"] == str(REPOSITORY / ".venv/bin/python")
    plugins = {plugin["name"]: plugin["version"] for plugin in about["plugins"]}
    assert {"command", "docker", "python", "tls"} <= plugins.keys()
    assert "sealed-data-tier" in {dependency["name"] for dependency in about["dependencies"]}


def test_a_missing_virtual_environment_is_made(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", "")
    definition = project.folder / "Pulumi.yaml"
    definition.write_text(definition.read_text().replace(str(REPOSITORY / ".venv"), "made"))
    (project.folder / "requirements.txt").write_text("")
    assert "Finished installing dependencies" in project.pulumi("install")
    assert (project.folder / "made/bin/python").exists()


def test_policies(project: Project, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    virtualenv = os.path.relpath(REPOSITORY / ".venv", pack)
    runtime = {"name": "python", "options": {"virtualenv": virtualenv}}
    (pack / "PulumiPolicy.yaml").write_text(json.dumps({"runtime": runtime}))
    (pack / "__main__.py").write_text(PACK)
    project.pulumi("config", "set", "plain", "please")

    project.declare(command={"type": "local", "create": "echo advisory"})
    said = project.pulumi("preview", "--policy-pack", str(pack))
    assert "- [advisory]  advisory  (command:local:Command: command)" in said
    assert "advisory is not welcome in probe/test, please" in said
    project.declare(command={"type": "local", "create": "echo mandatory"})
    for command in ("preview", "up"):
        said = project.pulumi(command, "--policy-pack", str(pack), *(["--yes"] * (command == "up")), succeeds=False)
        assert "- [mandatory]  mandatory  (command:local:Command: command)" in said
        assert "mandatory is not welcome in probe/test, please" in said
    assert project.outputs() == {}
    project.pulumi("up", "--yes", "--skip-preview")
    said = project.pulumi("policy", "analyze", "--policy-pack", str(pack), succeeds=False)
    assert "mandatory is not welcome" in said

    (pack / "__main__.py").write_text("raise ValueError('bad pack')\n")
    assert "ValueError: bad pack" in project.pulumi("preview", "--policy-pack", str(pack), succeeds=False)
