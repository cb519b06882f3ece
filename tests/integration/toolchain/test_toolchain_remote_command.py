"""remote.Command follows the rules of the official plugin, whichever of the two is in use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.toolchain.engine import Project, Sshd

pytestmark = pytest.mark.engine


def test_life_of_a_command(project: Project, sshd: Sshd, tmp_path: Path) -> None:
    """Create, nothing, update, update without `update`, replace and delete, each with its input."""
    log = tmp_path / "log"
    first: dict[str, Any] = {
        "type": "remote",
        "connection": sshd.connection,
        "create": f"echo create:$(cat):$ACCEPTED:$PULUMI_COMMAND_STDOUT >> {log}; echo made; echo; echo bad >&2",
        "update": f"echo update:$(cat):$ACCEPTED:$PULUMI_COMMAND_STDOUT >> {log}; echo updated",
        "delete": f"echo delete:$(cat):$ACCEPTED:$PULUMI_COMMAND_STDOUT >> {log}",
        "stdin": "in 1",
        "environment": {"ACCEPTED": "env 1"},
        "triggers": ["one", 1],
    }
    project.up(command=first)
    assert project.outputs() == {"command.stdout": "made\n", "command.stderr": "bad"}  # less one newline each
    logins = sshd.logins()

    unchanged = project.up(command=first)
    assert "unchanged" in unchanged
    project.pulumi("refresh", "--yes", "--skip-preview")
    assert sshd.logins() == logins

    # Any input that changes leads to an update, even the way in or the command for another occasion.
    second = first | {"stdin": "in 2"}
    project.up(command=second)
    third = second | {"connection": sshd.connection | {"dial_error_limit": 1}}
    project.up(command=third)
    fourth = third | {"delete": first["delete"] + "; true"}
    del fourth["update"]
    project.up(command=fourth)
    # A replacement is made before the old one is deleted, and the old one knows its own input and output.
    fifth = fourth | {"triggers": ["two", 1], "stdin": "in 5", "environment": {"ACCEPTED": "env 5"}}
    project.up(command=fifth)
    sixth = fifth | {"stdin": "in 6", "add_previous_output_in_env": False}
    project.up(command=sixth)
    project.pulumi("destroy", "--yes", "--skip-preview")
    assert log.read_text().splitlines() == [
        "create:in 1:env 1:",
        "update:in 2:env 1:made",
        "update:in 2:env 1:updated",
        "create:in 2:env 1:updated",
        "create:in 5:env 5:",
        "delete:in 2:env 1:made",
        "create:in 6:env 5:",
        "delete:in 6:env 5:",
    ]


def test_without_commands_nobody_logs_in(project: Project, sshd: Sshd) -> None:
    logins = sshd.logins()
    project.up(command={"type": "remote", "connection": sshd.connection, "delete": "true"})
    project.up(command={"type": "remote", "connection": sshd.connection})
    project.pulumi("destroy", "--yes", "--skip-preview")
    assert sshd.logins() == logins
    assert project.outputs() == {}


def test_what_is_secret_and_what_is_unknown(project: Project, sshd: Sshd) -> None:
    hushed: dict[str, Any] = {
        "type": "remote",
        "connection": sshd.connection,
        "create": "cat",
        "stdin": {"secret": "hush"},
    }
    plain: dict[str, Any] = {"type": "remote", "connection": sshd.connection, "create": "echo plain"}
    after: dict[str, Any] = {"type": "local", "create": "cat", "stdin": {"of": "plain", "take": "stdout"}}
    project.up(hushed=hushed, plain=plain, after=after)
    state = project.state("hushed")
    for side in ("inputs", "outputs"):
        assert {"connection", "stdin"} <= secrets(state[side])
    state = project.state("plain")
    assert secrets(state["inputs"]) == {"connection"}
    assert "stdout" not in secrets(state["outputs"])
    assert sshd.key.splitlines()[1] not in project.pulumi("stack", "export")

    assert "4 unchanged" in project.pulumi("preview")
    # A preview takes a command that will run again to print the same, unless an input is not known yet.
    project.declare(hushed=hushed, plain=plain | {"environment": {"ACCEPTED": "new"}}, after=after)
    assert "3 unchanged" in project.pulumi("preview")
    new = {"type": "local", "create": "echo new"}
    project.declare(new=new, hushed=hushed, plain=plain | {"stdin": {"of": "new", "take": "stdout"}}, after=after)
    assert '~ stdin: "plain" => [unknown]' in project.pulumi("preview", "--diff")


def test_failures_tell_the_command_and_its_output(project: Project, sshd: Sshd) -> None:
    failing = {"type": "remote", "connection": sshd.connection, "create": "echo out; echo err >&2; exit 3"}
    said = project.refused(command=failing)
    assert 'Process exited with status 3: running "echo out; echo err >&2; exit 3":' in said
    assert said.count("out\n") >= 2  # once as it came, once in the error

    refused = {"type": "remote", "connection": sshd.connection, "create": "echo ran", "environment": {"NOT": "x"}}
    said = project.refused(command=refused)
    assert 'could not set environment variable "NOT": ssh: setenv failed' in said
    assert "ran" not in said


def test_failures_to_connect(project: Project, sshd: Sshd) -> None:
    def command(**connection: object) -> dict[str, Any]:
        return {"type": "remote", "connection": sshd.connection | connection, "create": "echo ran"}

    said = project.refused(command=command(host_key=sshd.host_key[:40] + "A" * 8 + sshd.host_key[48:]))
    assert "after 0 failed attempts: ssh: handshake failed: ssh: host key mismatch" in said
    said = project.refused(command=command(port=1, dial_error_limit=2))
    assert "after 2 failed attempts: dial tcp 127.0.0.1:1: connect: connection refused" in said
    said = project.refused(command=command(user="nobody-of-that-name"))
    assert "after 0 failed attempts: ssh: handshake failed: ssh: unable to authenticate" in said
    assert "ran" not in said


def test_through_a_bastion(project: Project, sshd: Sshd) -> None:
    logins = sshd.logins()
    inner = {"type": "remote", "connection": sshd.connection | {"proxy": sshd.connection}, "create": "echo $SSH_CLIENT"}
    project.up(command=inner)
    assert project.outputs()["command.stdout"].startswith("127.0.0.1 ")
    assert sshd.logins() == logins + 2


@pytest.mark.parametrize(
    ("logging", "shown"),
    [(None, {"out", "err"}), ("stdoutAndStderr", {"out", "err"}), ("stderr", {"err"}), ("none", set())],
)
def test_what_is_shown(project: Project, sshd: Sshd, logging: str | None, shown: set[str]) -> None:
    talking = {"type": "remote", "connection": sshd.connection, "create": "echo out; echo err >&2", "logging": logging}
    project.declare(command=talking)
    events = project.pulumi("up", "--yes", "--skip-preview", "--json")
    assert {word for word in ("out", "err") if f'"message":"{word}' in events} == shown


def secrets(properties: dict[str, Any]) -> set[str]:
    return {name for name, value in properties.items() if isinstance(value, dict) and "ciphertext" in value}
