"""Every way to a host that a stack can configure, and what is said when there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import pytest

from tests.integration.conftest import DevStack
from tests.integration.verification.faults import added
from tests.integration.verification.verdict import run_verification
from verification.connection import ClosedError, Connections, Session, UnreachableError
from verification.export import State, parse
from verification.model import Endpoint, Host, Stack
from verification.redis import RedisError, call
from verification.stack import read

pytestmark = pytest.mark.lab

CACHE: Final = Endpoint("127.0.0.1", 30379)
_LIMIT_S: Final = 10.0
T = TypeVar("T")


@pytest.fixture(scope="module")
def state(lab: DevStack) -> State:
    """The dev stack's state."""
    return parse(lab.project.pulumi("stack", "export", "--show-secrets").text)


@pytest.fixture(scope="module")
def stack(state: State) -> Stack:
    """What it declares."""
    return read(state)


@pytest.fixture(scope="module")
def sudo_password(state: State) -> str:
    """The password of user `opspw`."""
    container = next(each for each in state.of_kind("docker:index/container:Container") if each.name == "lab-app1")
    passwords = next(each for each in container.inputs["uploads"] if each["file"] == "/etc/lab-passwords")
    return str(passwords["content"]).strip().removeprefix("opspw:")


def use(host: Host, do: Callable[[Session], Awaitable[T]]) -> T:
    """Connect, do something, and disconnect."""

    async def run() -> T:
        async with Connections() as connections:
            return await do(await connections.to(host))

    return asyncio.run(run())


async def who_am_i(session: Session) -> str:
    """Run a script that shows what became of its input."""
    return (await session.run_as_root("id -un; cat", "input", _LIMIT_S)).strip()


def as_user(host: Host, user: str, sudo_password: str | None = None) -> Host:
    """The same host with another account."""
    assert host.login is not None
    return replace(host, login=replace(host.login, user=user), sudo_password=sudo_password)


def test_sudo_without_a_password(stack: Stack) -> None:
    assert use(stack.hosts["app1"], who_am_i) == "root\ninput"


def test_sudo_with_a_password_reads_it_from_the_first_line(stack: Stack, sudo_password: str) -> None:
    assert use(as_user(stack.hosts["app1"], "opspw", sudo_password), who_am_i) == "root\ninput"


@pytest.mark.parametrize(("user", "password"), [("nosudo", None), ("nosudo", "wrong"), ("opspw", None)])
def test_sudo_that_refuses_is_told_in_sudos_words(stack: Stack, user: str, password: str | None) -> None:
    with pytest.raises(UnreachableError, match=rf"sudo did not let {user} in: "):
        use(as_user(stack.hosts["app1"], user, password), who_am_i)


def test_bastion_is_gone_through(lab: DevStack, stack: Stack) -> None:
    host = replace(stack.hosts["app1"], bastion=stack.hosts["lb1"].login)

    async def source(session: Session) -> str:
        return await session.run_as_root("ss -Htn state established 'sport = :22'", "", _LIMIT_S)

    assert lab.host("lb1").address in use(host, source)


def test_bastion_with_another_key_is_refused(stack: Stack) -> None:
    bastion, other = stack.hosts["lb1"].login, stack.hosts["worker1"].login
    assert bastion is not None
    assert other is not None
    host = replace(stack.hosts["app1"], bastion=replace(bastion, host_key=other.host_key))
    with pytest.raises(UnreachableError, match="has another host key than the pinned one"):
        use(host, who_am_i)


def test_host_with_another_key_is_refused(stack: Stack) -> None:
    login, other = stack.hosts["app1"].login, stack.hosts["app2"].login
    assert login is not None
    assert other is not None
    host = replace(stack.hosts["app1"], login=replace(login, host_key=other.host_key))
    with pytest.raises(UnreachableError, match="has another host key than the pinned one"):
        use(host, who_am_i)


def test_account_that_does_not_know_the_key_is_told(stack: Stack) -> None:
    with pytest.raises(UnreachableError, match="does not admit the stack's key"):
        use(as_user(stack.hosts["app1"], "root"), who_am_i)


def test_port_where_nobody_listens_is_told(stack: Stack) -> None:
    login = stack.hosts["app1"].login
    assert login is not None
    with pytest.raises(UnreachableError, match="cannot be reached"):
        use(replace(stack.hosts["app1"], login=replace(login, port=1)), who_am_i)


def test_host_without_forwarding_is_dialled_from_by_bash(lab: DevStack, stack: Stack) -> None:
    forbids = "Match User ops\n  AllowTcpForwarding no\nMatch all\n"

    async def ping(session: Session) -> list[str]:
        said = []
        for endpoint in (CACHE, Endpoint(session.host.address, CACHE.port)):
            try:
                async with session.dial(endpoint, _LIMIT_S) as streams:
                    await call(*streams, "PING")
            except (RedisError, ClosedError) as error:
                said.append(str(error))
        return said

    path = "/etc/ssh/sshd_config.d/05-fault.conf"
    with added(lab.host("app1"), path, forbids, then="systemctl reload ssh"):
        said = use(stack.hosts["app1"], ping)
    assert said == ["NOAUTH Authentication required.", "Connection refused"]
    assert use(stack.hosts["app1"], ping) == said
    lab.host("app1").run("! pgrep --full [/]dev/tcp/")


@pytest.mark.engine
def test_stack_that_does_not_exist_is_said_with_the_fix(lab: DevStack, tmp_path: Path) -> None:
    missing = {**lab.project.environment, "PULUMI_OPTION_STACK": "nobody-made-it"}
    run = run_verification(missing, "--output", str(tmp_path / "report.json"))
    assert run.returncode == 2
    assert "the state of the stack cannot be read" in run.stderr
    assert "make up" in run.stderr
    assert not (tmp_path / "report.json").exists()
