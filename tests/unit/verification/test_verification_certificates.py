"""What servers really show in a handshake, and what is said of it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.authority import Authority
from tests.unit.verification.samples import STACK, resource
from verification.connection import ClosedError, Connections, Session
from verification.export import UnusableStackError, parse
from verification.families.certificates import judge, probe
from verification.family import Outcome, Survey
from verification.model import Endpoint, ServedCertificate
from verification.stack import read
from verification.tls import TlsError, ask_postgres, certificate_of

NAME: Final = "redis1.example.com"
AUTHORITY: Final = Authority()
LOCAL: Final = "127.0.0.1"
VERSIONS: Final = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def context(files: Path, issued: tuple[str, str], *, version: ssl.TLSVersion, mutual: bool) -> ssl.SSLContext:
    """What a server speaks."""
    for name, text in zip(("leaf.pem", "leaf.key", "root.pem"), (*issued, AUTHORITY.certificate), strict=True):
        (files / name).write_text(text)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = made.maximum_version = version
    made.load_cert_chain(files / "leaf.pem", files / "leaf.key")
    made.load_verify_locations(files / "root.pem")
    made.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
    return made


@contextmanager
def serving(speaks: ssl.SSLContext | bytes) -> Iterator[Endpoint]:
    """A server on this machine: TLS, or other words instead."""
    listener = socket.create_server((LOCAL, 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                if isinstance(speaks, ssl.SSLContext):
                    with speaks.wrap_socket(connection, server_side=True) as secured:
                        secured.recv(1)
                else:
                    connection.recv(65536)
                    connection.sendall(speaks)
                    connection.close()
            except OSError:
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield Endpoint(LOCAL, listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


async def dialled(endpoint: Endpoint, name: str = NAME) -> bytes:
    """Shake hands."""
    reader, writer = await asyncio.open_connection(*endpoint)
    try:
        return await certificate_of(reader, writer, name)
    finally:
        writer.close()


@pytest.mark.parametrize("mutual", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
def test_certificate_is_seen_whatever_the_server_wants(tmp_path: Path, version: ssl.TLSVersion, mutual: bool) -> None:
    issued = AUTHORITY.issue(NAME)
    with serving(context(tmp_path, issued, version=version, mutual=mutual)) as endpoint:
        for name in (NAME, LOCAL):
            assert ssl.DER_cert_to_PEM_cert(asyncio.run(dialled(endpoint, name))) == issued[0]


@pytest.mark.parametrize(
    ("speaks", "problem"),
    [
        (b"-ERR unknown command\r\n", "no certificate is shown: wrong version number"),
        (b"", "no certificate is shown: unexpected eof while reading"),
        (b"\x16\x03\x03\x00\x04\x0b\x00\x00\xff", "no certificate is shown: "),
    ],
)
def test_what_does_not_speak_tls_is_told(speaks: bytes, problem: str) -> None:
    with serving(speaks) as endpoint, pytest.raises(TlsError, match=problem):
        asyncio.run(dialled(endpoint))


class Wire:
    """Keeps what was written."""

    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes, /) -> None:
        """Keep it."""
        self.sent += data


@pytest.mark.parametrize(("answer", "agreed"), [(b"S", True), (b"N", False), (b"", False), (b"HTTP/1.1 400", False)])
def test_postgres_is_asked_for_tls_first(answer: bytes, agreed: bool) -> None:
    async def ask() -> bytes:
        reader, wire = asyncio.StreamReader(), Wire()
        reader.feed_data(answer)
        reader.feed_eof()
        await ask_postgres(reader, wire)
        return wire.sent

    if agreed:
        assert asyncio.run(ask()) == bytes.fromhex("00000008 04d2162f")
    else:
        with pytest.raises(TlsError, match="it does not offer TLS"):
            asyncio.run(ask())


# --- what is said of it ---


def served(issued: tuple[str, str], **changes: Any) -> ServedCertificate:
    """What a stack declares that wrote a certificate."""
    whole = ServedCertificate(
        host="app",
        endpoint=Endpoint("192.0.2.1", 6379),
        certificate=issued[0],
        trusted=AUTHORITY.certificate,
        renewal_days=30,
        names=(NAME, "192.0.2.1"),
    )
    return replace(whole, **changes)


def said(issued: tuple[str, str], declared: ServedCertificate | None = None, **changes: Any) -> list[str]:
    """What is wrong with a certificate that is served, by default as it was written."""
    shown = ssl.PEM_cert_to_DER_cert(issued[0])
    return list(judge(declared or served(issued, **changes), shown, datetime.now(tz=UTC)).problems)


def issue(*names: str, **changes: Any) -> tuple[str, str]:
    """A certificate as it should be."""
    return AUTHORITY.issue(*(names or (NAME, "192.0.2.1")), **{"lasts": timedelta(days=90), **changes})


def test_certificate_as_it_should_be() -> None:
    issued = issue()
    outcome = judge(served(issued), ssl.PEM_cert_to_DER_cert(issued[0]), datetime.now(tz=UTC))
    assert outcome.problems == ()
    assert outcome.summary.startswith("192.0.2.1:6379 until 20")
    assert said(issue("*.example.com", "192.0.2.1")) == []
    assert said(issued, names=()) == []
    assert said(issued, trusted=Authority().certificate + AUTHORITY.certificate) == []
    assert said(issued, certificate=issued[0] + AUTHORITY.certificate) == []


def test_server_that_did_not_reload_is_found() -> None:
    [problem] = said(issue(), served(issue()))
    assert problem.startswith("192.0.2.1:6379 serves certificate ")
    assert "it was not reloaded" in problem


@pytest.mark.parametrize(
    ("issued", "changes", "problem"),
    [
        (issue(), {"trusted": Authority().certificate}, "that none of the trusted roots signed"),
        (issue(), {"trusted": ""}, "that none of the trusted roots signed"),
        (issue(), {"names": (NAME, "192.0.2.9")}, "that is not for 192.0.2.9: add it to the certificate's names"),
        (issue(), {"names": ("example.com",)}, "that is not for example.com"),
        (issue("*.com", "192.0.2.1"), {}, f"that is not for {NAME}"),
        (issue(purposes=[ExtendedKeyUsageOID.CLIENT_AUTH]), {}, "that is not for servers"),
        (issue(purposes=[]), {}, "that is not for servers"),
        (issue(begins=timedelta(hours=1)), {}, "that begins only on "),
        (issue(begins=timedelta(days=-91)), {}, "that ended on "),
        (issue(begins=timedelta(days=-61)), {}, "that is due for renewal since "),
    ],
)
def test_what_is_wrong_is_told(issued: tuple[str, str], changes: dict[str, Any], problem: str) -> None:
    [told] = said(issued, **changes)
    assert f"serves a certificate {problem}" in told


def test_open_renewal_window_names_the_fix() -> None:
    [told] = said(issue(begins=timedelta(days=-61)))
    assert "run `pulumi up`" in told
    assert said(issue(begins=timedelta(days=-59))) == []


@pytest.mark.parametrize("certificate", ["", "no certificate"])
def test_state_without_the_certificate_is_not_well(certificate: str) -> None:
    [told] = said(issue(), certificate=certificate)
    assert told == "192.0.2.1:6379 cannot be compared: the state has no certificate for it, run `pulumi up`"


# --- all endpoints of a stack ---


class Near:
    """A host whose addresses can be dialled from here."""

    @asynccontextmanager
    async def dial(self, endpoint: Endpoint, _: float) -> AsyncIterator[tuple[Any, Any]]:
        """Connect."""
        try:
            reader, writer = await asyncio.open_connection(*endpoint)
        except OSError:
            raise ClosedError("Connection refused") from None
        try:
            yield reader, writer
        finally:
            writer.close()


def surveyed(*declared: ServedCertificate, sessions: tuple[str, ...] = ("app", "lb")) -> dict[str, Outcome]:
    """What is found about a stack that serves certificates."""
    survey = Survey(
        stack=replace(STACK, served=declared),
        connections=cast("Connections", None),
        sessions={host: cast("Session", Near()) for host in sessions},
        facts={},
    )
    return {outcome.host: outcome for outcome in asyncio.run(probe(survey))}


def test_every_endpoint_is_asked(tmp_path: Path) -> None:
    issued, other = issue(), issue()
    with (
        serving(context(tmp_path, issued, version=VERSIONS[1], mutual=True)) as well,
        serving(context(tmp_path, other, version=VERSIONS[0], mutual=True)) as stale,
        serving(b"") as closed,
    ):
        found = surveyed(
            served(issued, endpoint=well),
            served(issued, endpoint=closed),
            served(issued, endpoint=stale, host="lb"),
            served(issued, endpoint=well, host="outsider"),
            served(issued, endpoint=well, host="elsewhere"),
        )
    assert found["app"].problems == (f"{closed}: no certificate is shown: unexpected eof while reading",)
    [problem] = found["lb"].problems
    assert problem.startswith(f"{stale} serves certificate ")
    assert "outsider" not in found, "of a host that could not be asked the run itself tells"
    assert found["elsewhere"].problems == (f"not done: {well} is declared on a host that the stack does not have",)


def test_port_that_nobody_takes_is_found() -> None:
    with socket.create_server((LOCAL, 0)) as taken:
        port = taken.getsockname()[1]
    found = surveyed(served(issue(), endpoint=Endpoint(LOCAL, port)))
    assert found["app"].problems == (f"{LOCAL}:{port}: Connection refused",)


# --- what components register ---

COMPONENT: Final = "sealed-data-tier:redis_tls_cluster:RedisTlsCluster"
PAIR: Final = "sealed-data-tier:postgres_ha_pair:PostgresHaPair"
HOST: Final = "sealed-data-tier:host:Host"
TOLD: Final = {
    "host": "cache1",
    "address": "192.0.2.1",
    "port": 6379.0,
    "certificate": "a leaf",
    "trusted": "roots",
    "renewalDays": 30.0,
    "names": [NAME],
}


def state_of(*resources: dict[str, Any]) -> Any:
    """A state with one host, and more."""
    host = resource(HOST, "cache1", inputs={"address": "192.0.2.1"})
    return parse(json.dumps({"deployment": {"resources": [host, *resources]}}))


def test_what_is_served_is_read_from_any_component_once() -> None:
    inputs = {"hosts": ["cache1"], "settings": {"flavour": "valkey"}}
    tls = resource(COMPONENT, "cache", inputs=inputs, outputs={"served": [TOLD, {**TOLD, "address": LOCAL}]})
    above = resource("sealed-data-tier:other:Other", "above", outputs={"served": [TOLD]})
    exported = resource("pulumi:pulumi:Stack", "stack", outputs={"served": 5})
    foreign = resource("kubernetes:x:X", "x", outputs={"served": True})
    stack = read(state_of(tls, above, exported, foreign))
    assert [(each.host, each.endpoint, each.renewal_days, each.names) for each in stack.served] == [
        ("cache1", Endpoint("192.0.2.1", 6379), 30, (NAME,)),
        ("cache1", Endpoint(LOCAL, 6379), 30, (NAME,)),
    ]
    assert stack.hosts["cache1"].exposed == {Endpoint("192.0.2.1", 6379)}
    assert stack.hosts["cache1"].members["redis"] == ("/usr/local/lib/valkey-tls/node",)


def test_virtual_ips_are_read() -> None:
    instances = [{"name": "front", "addresses": ["192.0.2.5/24", "2001:db8::5/64"], "followsLeader": True}]
    inputs = {"hosts": ["lb1", "lb2"], "settings": {"instances": instances}}
    group = resource("sealed-data-tier:keepalived_vip:KeepalivedVip", "front", inputs=inputs)
    (vips,) = read(state_of(group)).vips
    assert (vips.name, vips.hosts) == ("front", ("lb1", "lb2"))
    assert vips.instances == {"front": ("192.0.2.5", "2001:db8::5")}
    assert vips.led == {"front"}


SERVERS = {"nodes": [{"host": "cache1"}, {"host": "db2"}], "connections": {"port": 5432.0}}


def test_members_of_a_pair_are_read() -> None:
    inputs: dict[str, Any] = {"hosts": ["cache1", "db2", "db3"], "settings": SERVERS}
    told = {**TOLD, "port": 5432.0, "askedFirst": True}
    pair = resource(PAIR, "ccc", inputs=inputs, outputs={"served": [told]})
    stack = read(state_of(pair, resource(HOST, "db3", inputs={"address": "192.0.2.3"})))
    commands = [stack.hosts[host].members["postgres"] for host in ("cache1", "db3")]
    assert commands == [("/usr/local/sbin/postgres-pair",)] * 2
    assert [each.asked_first for each in stack.served] == [True]
    assert [(each.name, each.nodes, each.port) for each in stack.pairs] == [("ccc", ("cache1", "db2"), 5432)]


def test_component_that_tells_it_in_another_way_is_refused() -> None:
    with pytest.raises(UnusableStackError, match="cache: its output `served` cannot be read"):
        read(state_of(resource(COMPONENT, "cache", outputs={"served": [{"host": "cache1"}]})))
