"""Clusters as verification reaches them: a real API server's protocol, on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from tests.unit.verification.api_server import TOKEN, ApiServer, kubeconfig, serving
from verification import objects, run
from verification.cluster import ClusterSession, connected
from verification.connection import ClosedError, UnreachableError
from verification.model import Cluster, Endpoint, Pod, PodGroup, Stack

Result = TypeVar("Result")

POD: Final = Pod("data", "orders-server-0")
SERVER: Final = Endpoint("orders-server-0.orders-servers.data.svc.cluster.local", 6379)
SUCCESS: Final = {"status": "Success"}
SOCKETS: Final = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 1
   1: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 2
   2: 00000000:18EC 0100007F:0050 01 00000000:00000000 00:00000000 00000000   999        0 3
   0: 00000000000000000000000001000000:18ED 00000000000000000000000000000000:0000 0A 00000000:0 00:0 0 999 0 4
"""


def with_session(server: ApiServer, ask: Callable[[ClusterSession], Awaitable[Result]], token: str = TOKEN) -> Result:
    """What a session is answered."""

    async def asked() -> Result:
        async with serving(server, token) as config, connected(Cluster(name="c", kubeconfig=config)) as session:
            return await ask(session)

    return asyncio.run(asked())


def test_an_object_is_read_and_a_missing_one_is_none() -> None:
    server = ApiServer(objects={"/api/v1/namespaces/data/pods": {"items": []}})
    assert with_session(server, lambda session: session.get("/api/v1/namespaces/data/pods")) == {"items": []}
    assert with_session(server, lambda session: session.get("/api/v1/namespaces/data/none")) is None


def test_what_the_api_server_refuses_is_told() -> None:
    with pytest.raises(UnreachableError, match="the API server refuses: Unauthorized"):
        with_session(ApiServer(), lambda session: session.get("/version"), token="another")


def test_a_command_is_run_in_a_container() -> None:
    server = ApiServer(told={POD.name: ("said\n", SUCCESS)})
    assert with_session(server, lambda session: session.run(POD, "follow", "echo said", 5)) == "said\n"
    assert server.asked == ["/api/v1/namespaces/data/pods/orders-server-0/exec sh -c echo said"]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({POD.name: ("", {"status": "Failure", "message": "exit code 1"})}, "what it said last"),
        ({}, "the API server does not connect to data/orders-server-0: there is no such pod"),
    ],
)
def test_a_command_that_failed_is_told(told: dict[str, Any], words: str) -> None:
    with pytest.raises(UnreachableError, match=words):
        with_session(ApiServer(told=told), lambda session: session.run(POD, "follow", "false", 5))


def test_a_port_of_a_pod_is_reached() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await writer.drain()

    async def asked() -> bytes:
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as far:
            server = ApiServer(ports={(POD.name, 6379): far.sockets[0].getsockname()[1]})
            async with (
                serving(server) as config,
                connected(Cluster(name="c", kubeconfig=config)) as session,
                session.dial(SERVER, 5) as (reader, writer),
            ):
                writer.write(b"hello\n")
                return await reader.readline()

    assert asyncio.run(asked()) == b"HELLO\n"


def test_a_port_that_nobody_has_is_told() -> None:
    async def ask(session: ClusterSession) -> None:
        async with session.dial(SERVER, 5) as (reader, _):
            assert not await reader.read(1)
            raise EOFError

    with pytest.raises(ClosedError, match=r"^connection refused$"):
        with_session(ApiServer(), ask)


@pytest.mark.parametrize(
    ("config", "context", "words"),
    [
        ('{"current-context": "it"}', None, "its kubeconfig cannot be used"),
        (kubeconfig("http://127.0.0.1:1"), "another", "its kubeconfig cannot be used"),
        ("/no/such/file", None, "its kubeconfig cannot be used"),
        (kubeconfig("http://127.0.0.1:1"), None, "the API server cannot be reached: "),
    ],
)
def test_a_cluster_that_cannot_be_reached_is_a_check_and_no_crash(config: str, context: str | None, words: str) -> None:
    stack = Stack(hosts={}, clusters={"c": Cluster(name="c", kubeconfig=config, context=context)})
    report = asyncio.run(run.verify(stack, lambda _: None))
    wrong = {check.name: check.detail for check in report.checks}
    assert report.verdict == "open"
    assert wrong.pop("login").startswith(words)
    assert set(wrong) == {"listeners", "redis", "certificates", "objects", "policies"}
    assert set(wrong.values()) == {"not done: it could not be asked"}


def test_a_kubeconfig_that_cannot_be_read_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    stack = Stack(hosts={}, clusters={"c": Cluster(name="c", kubeconfig="users: [{user: {token: hidden")})
    report = asyncio.run(run.verify(stack, lambda _: None))
    assert "its kubeconfig cannot be used" in report.as_json()
    assert "hidden" not in report.as_json() + caplog.text + repr(stack)


def test_a_kubeconfig_may_be_a_file(tmp_path: Path) -> None:
    async def asked() -> object:
        async with serving(ApiServer(objects={"/version": {"major": "1"}})) as config:
            path = tmp_path / "config"
            path.write_text(config)
            async with connected(Cluster(name="c", kubeconfig=str(path), context="it")) as session:
                return await session.get("/version")

    assert asyncio.run(asked()) == {"major": "1"}


def test_pods_tell_how_they_are_and_what_listens_in_them() -> None:
    group = PodGroup(
        name="orders",
        namespace="data",
        labels={"app": "orders"},
        command="/usr/local/lib/redis-tls/node",
        members={POD.name: ("follow", 6379), "orders-server-1": ("follow", 6379)},
    )
    pod = {"metadata": {"namespace": "data", "name": POD.name}, "status": {"phase": "Running"}}
    server = ApiServer(
        objects={"/version": {"major": "1"}, "/api/v1/namespaces/data/pods": {"items": [pod]}},
        told={POD.name: (f"+ primary\n- not\n#=sockets\n{SOCKETS}", SUCCESS)},
    )

    async def look(session: ClusterSession) -> objects.Objects:
        return await objects.look(ClusterSession(Cluster(name="c", groups=(group,)), session._rest, session._streams))

    seen = with_session(server, look)
    assert set(seen.told) == {POD}
    assert seen.told[POD].status == ("+ primary", "- not")
    assert seen.told[POD].listeners == (Endpoint("0.0.0.0", 6379), Endpoint("127.0.0.1", 80), Endpoint("::1", 6381))
    assert "/orders-server-0/exec sh -c /usr/local/lib/redis-tls/node status" in server.asked[-1]
