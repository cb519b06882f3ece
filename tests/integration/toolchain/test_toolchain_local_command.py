"""local.Command follows the rules of the official plugin, whichever of the two is in use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.toolchain.engine import Project
from toolchain import layout
from toolchain.ensure import ensure

pytestmark = pytest.mark.engine


def test_life_of_a_command(project: Project, tmp_path: Path) -> None:
    log = tmp_path / "log"
    first: dict[str, Any] = {
        "type": "local",
        "create": f"echo create:$(cat):$GIVEN:$PULUMI_COMMAND_STDOUT >> {log}; echo made; echo; echo bad >&2",
        "update": f"echo update:$(cat):$GIVEN:$PULUMI_COMMAND_STDERR >> {log}; pwd",
        "delete": f"echo delete:$(cat):$GIVEN:$PULUMI_COMMAND_STDOUT >> {log}",
        "stdin": "in 1",
        "environment": {"GIVEN": "env 1"},
        "triggers": ["one"],
    }
    project.up(command=first)
    assert project.outputs() == {"command.stdout": "made\n", "command.stderr": "bad"}
    second = first | {"dir": str(tmp_path)}
    project.up(command=second)
    assert project.outputs() == {"command.stdout": str(tmp_path), "command.stderr": ""}
    third = second | {"triggers": ["two"], "stdin": "in 3", "add_previous_output_in_env": False}
    project.up(command=third)
    project.pulumi("destroy", "--yes", "--skip-preview")
    assert log.read_text().splitlines() == [
        "create:in 1:env 1:",
        "update:in 1:env 1:bad",
        "create:in 3:env 1:",
        f"delete:in 1:env 1:{tmp_path}",
        "delete:in 3:env 1:",
    ]


def test_interpreter(project: Project) -> None:
    said = project.up(
        named={"type": "local", "interpreter": ["python3", "-c"], "create": "print(input())", "stdin": "x"},
        empty={"type": "local", "interpreter": [], "create": "echo $0"},
    )
    outputs = project.outputs()
    assert (outputs["named.stdout"], outputs["empty.stdout"]) == ("x", "/bin/sh")
    assert "x\n" in said


def test_failures_tell_the_command_and_its_output(project: Project) -> None:
    said = project.refused(command={"type": "local", "create": "echo out; echo err >&2; exit 3"})
    assert 'exit status 3: running "echo out; echo err >&2; exit 3":' in said
    said = project.refused(command={"type": "local", "create": "true", "dir": "/nowhere"})
    assert "chdir /nowhere: no such file or directory" in said


def test_what_is_not_implemented_is_refused(project: Project, only_stand_in: Callable[[str], None]) -> None:
    only_stand_in("command")
    for name in ("asset_paths", "archive_paths"):
        said = project.refused(command={"type": "local", "create": "true", name: ["*"]})
        assert "this stand-in for the official plugin does not collect files" in said
    connection = {"host": "127.0.0.1", "user": "x"}
    said = project.refused(
        copy={"type": "copy", "connection": connection, "source": {"asset": "x"}, "remote_path": "/x"}
    )
    assert "command:remote:CopyToRemote is not supported by this stand-in" in said
    assert "use one of these, or the official plugin" in said


def test_a_stand_in_says_so_in_its_log_only(project: Project, only_stand_in: Callable[[str], None]) -> None:
    only_stand_in("command")
    assert "STAND-IN" not in project.up(command={"type": "local", "create": "true"})
    logs = ensure().tree / layout.HOME / "stand-ins"
    for name in ("pulumi-resource-command", "pulumi-language-python"):
        assert f"STAND-IN: this {name}" in (logs / f"{name}.log").read_text()
