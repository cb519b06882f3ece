"""Spinnaker's Redis as verification tries it: real handshakes with a server on this machine."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pytest

from tests.authority import Authority
from tests.unit.verification.samples import STACK, resource
from verification.connection import ClosedError, Connections, Session
from verification.export import parse
from verification.families.spinnaker import probe
from verification.family import Outcome, Survey
from verification.model import Endpoint, RedisClient
from verification.stack import read

LOCAL: Final = "127.0.0.1"
AUTHORITY: Final = Authority()
CLIENT: Final = AUTHORITY.issue("services")
PASSWORD: Final = "of-redis"
# Whoever is still writing when a server ends the connection does not see why it does.
CUT_OFF: Final = ".*reset by peer|.*Broken pipe|.*without an answer"


def server(files: Path, *, mutual: bool, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """How a Redis speaks TLS."""
    texts = (*AUTHORITY.issue(LOCAL), AUTHORITY.certificate)
    for name, text in zip(("leaf.pem", "leaf.key", "root.pem"), texts, strict=True):
        (files / name).write_text(text)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = made.maximum_version = version
    made.load_cert_chain(files / "leaf.pem", files / "leaf.key")
    made.load_verify_locations(files / "root.pem")
    made.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
    return made


@contextmanager
def serving(context: ssl.SSLContext) -> Iterator[Endpoint]:
    """A Redis that knows one password and PING."""
    listener = socket.create_server((LOCAL, 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as secured:
                    answer(secured)
            except OSError:
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield Endpoint(LOCAL, listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def answer(secured: ssl.SSLSocket) -> None:
    """Answer one client."""
    admitted = False
    while words := secured.recv(4096):
        if b"AUTH" in words:
            admitted = PASSWORD.encode() in words
            secured.sendall(b"+OK\r\n" if admitted else b"-WRONGPASS invalid username-password pair\r\n")
        else:
            secured.sendall(b"+PONG\r\n" if admitted else b"-NOAUTH Authentication required.\r\n")


class Near:
    """A host whose addresses can be dialled from here."""

    @asynccontextmanager
    async def dial_as_socket(self, endpoint: Endpoint, _: float) -> AsyncIterator[socket.socket]:
        """Connect."""
        try:
            connection = socket.create_connection(endpoint)
        except OSError:
            raise ClosedError("Connection refused") from None
        connection.setblocking(False)
        with connection:
            yield connection


def tried(endpoint: Endpoint, **changes: Any) -> Outcome:
    """What is found about a Spinnaker that uses this Redis."""
    known = {"certificate": CLIENT[0], "key": CLIENT[1], "trusted": AUTHORITY.certificate, "password": PASSWORD}
    client = RedisClient(**{"name": "spinnaker", "host": "app", "endpoint": endpoint, **known, **changes})
    away = replace(client, host="away")
    survey = Survey(
        stack=replace(STACK, spinnakers=(client, away)),
        connections=cast("Connections", None),
        sessions={"app": cast("Session", Near())},
        facts={},
    )
    (outcome,) = asyncio.run(probe(survey))
    return outcome


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_redis_that_asks_for_certificates_is_well(tmp_path: Path, version: ssl.TLSVersion) -> None:
    with serving(server(tmp_path, mutual=True, version=version)) as endpoint:
        outcome = tried(endpoint)
    assert (outcome.host, outcome.problems) == ("app", ())
    assert outcome.summary.startswith(f"{endpoint} says PONG to spinnaker, and to who shows no certificate: ")


def test_redis_that_asks_for_none_is_told(tmp_path: Path) -> None:
    with serving(server(tmp_path, mutual=False)) as endpoint:
        assert tried(endpoint).problems == (f"{endpoint} answers who shows no certificate: set tls.authClients to yes",)
        (problem, _) = tried(endpoint, password="").problems
        assert problem == f"{endpoint} does not answer spinnaker with its certificate: NOAUTH Authentication required."


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": "other"}, "WRONGPASS invalid username-password pair"),
        ({"trusted": Authority().certificate}, "certificate verify failed: certificate signature failure"),
        (
            dict(zip(("certificate", "key"), Authority().issue("services"), strict=True)),
            f"tlsv1 alert decrypt error|{CUT_OFF}",
        ),
    ],
    ids=["password", "authority", "certificate"],
)
def test_redis_that_does_not_answer_is_told(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    with serving(server(tmp_path, mutual=True)) as endpoint:
        (problem,) = tried(endpoint, **changes).problems
    assert re.fullmatch(f"{endpoint} does not answer spinnaker with its certificate: ({words})", problem)


def test_redis_that_is_away_is_told(tmp_path: Path) -> None:
    with serving(server(tmp_path, mutual=True)) as endpoint:
        pass
    assert tried(endpoint).problems == (
        f"{endpoint} does not answer spinnaker with its certificate: Connection refused",
    )


COMPONENT: Final = "sealed-data-tier:spinnaker_redis_mtls:SpinnakerRedisMtls"
REDIS: Final = "sealed-data-tier:redis_tls_cluster:RedisTlsCluster"
SHOWN: Final[dict[str, Any]] = {"certificate": "C", "key": "K", "trusted": "T", "password": ""}


@pytest.mark.parametrize(
    ("served", "settings", "host"),
    [
        ([{"address": "192.0.2.12", "port": 6379, "names": ["redis.example.com"]}], {}, "redis1"),
        ([{"address": "192.0.2.12", "port": 6380, "names": ["redis.example.com"]}], {}, "app1"),
        ([], {"halyard": {"host": "ops1"}}, "ops1"),
    ],
)
def test_what_is_tried_from_where_is_read(served: list[dict[str, Any]], settings: dict[str, Any], host: str) -> None:
    rest = {"host": "redis1", "certificate": "C", "trusted": "T", "renewalDays": 30}
    inputs = {"settings": {"redis": {"host": "redis.example.com", "port": 6379}, **settings}}
    resources = [
        *(
            resource("sealed-data-tier:host:Host", name, inputs={"address": name})
            for name in ("redis1", "app1", "ops1")
        ),
        resource(
            REDIS,
            "redis",
            inputs={"hosts": [], "settings": {}},
            outputs={"served": [{**each, **rest} for each in served]},
        ),
        resource(COMPONENT, "ci", inputs=inputs, outputs={"client": SHOWN}),
    ]
    stack = read(parse(json.dumps({"version": 3, "deployment": {"resources": resources}})))
    endpoint = Endpoint("redis.example.com", 6379)
    assert stack.spinnakers == (RedisClient(name="ci", host=host, endpoint=endpoint, **SHOWN),)
