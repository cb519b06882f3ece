"""Names, types, inputs and parents of what a host registers. How it behaves is for the integration tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs

from components.host import File, Host, HostArgs, Role, RoleSpec
from components.host.bundle import FORMAT

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILlgr8l/G7NryHnJnSJ91lmLGnupyBGM4d0KAzmhg0C3"
SECRET = "hunter2-of-the-role"


class Recorder(pulumi.runtime.Mocks):
    """Remembers what was registered."""

    def __init__(self) -> None:
        self.resources: dict[str, MockResourceArgs] = {}

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.resources[args.name] = args
        return f"{args.name}-id", args.inputs

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise AssertionError(args.token)


@pytest.fixture
def recorder() -> Recorder:
    recorder = Recorder()
    pulumi.runtime.set_mocks(recorder)
    return recorder


def register(**args: Any) -> None:
    host = Host("app1", HostArgs(**{"address": "192.0.2.1", "user": "ops", "host_key": KEY, **args}))
    files = (File(path="/etc/a", content="reviewed\n"), File(path="/etc/b", content=SECRET, mode=0o600, secret=True))
    Role("proof", host, RoleSpec(name="proof", files=files))


def run(program: Callable[[], None]) -> None:
    """Run a program to its end, outputs included."""
    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]


def unsealed(value: Any) -> Any:
    """What a secret holds; fails for what is no secret."""
    assert isinstance(value, dict)
    assert value["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270", "Pulumi's mark of a secret"
    return value["value"]


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("app1", "sealed-data-tier:host:Host"),
        ("app1-farewell", "command:local:Command"),
        ("app1-runtime", "command:remote:Command"),
        ("proof", "sealed-data-tier:host:Role"),
        ("app1-proof", "command:remote:Command"),
    ],
)
def test_names_and_tokens(recorder: Recorder, name: str, token: str) -> None:
    run(register)
    assert recorder.resources[name].typ == token
    assert len(recorder.resources) == 5


def test_reviewed_inputs_hold_text_and_no_secret(recorder: Recorder) -> None:
    run(register)
    inputs = recorder.resources["proof"].inputs
    assert inputs["files"] == {"/etc/a": "reviewed\n"}
    assert inputs["secretFiles"] == ["/etc/b"]
    assert inputs["modes"] == {"/etc/a": "0644 root:root", "/etc/b": "0600 root:root"}
    assert SECRET not in repr(inputs)


def test_commands_are_pinned_and_silent(recorder: Recorder) -> None:
    run(lambda: register(private_key="key"))
    for name in ("app1-runtime", "app1-proof"):
        inputs = recorder.resources[name].inputs
        connection = unsealed(inputs["connection"])
        assert (connection["hostKey"], connection["dialErrorLimit"]) == (KEY, 2)
        assert inputs["logging"] == "none"
        assert inputs["addPreviousOutputInEnv"] is False
        assert SECRET not in inputs["create"] + (inputs.get("delete") or "")


@pytest.mark.parametrize(
    ("args", "create", "first_line"),
    [
        ({"user": "root"}, "runtime apply proof", FORMAT),
        ({}, "runtime apply proof", FORMAT),
        ({"sudo_password": "pw"}, "runtime -S apply proof", "pw"),
    ],
)
def test_sudo_password_is_the_first_line(recorder: Recorder, args: Any, create: str, first_line: str) -> None:
    run(lambda: register(**args))
    inputs = recorder.resources["app1-proof"].inputs
    assert inputs["create"].endswith(create)
    assert unsealed(inputs["stdin"]).startswith(first_line)
