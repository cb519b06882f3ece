"""One server: who is let in, and who is not."""

from __future__ import annotations

import re
import socket
import ssl

import pytest
import redis

from tests.integration.redis_tls import identities
from tests.integration.redis_tls.stack import Identity, Stack

pytestmark = [pytest.mark.engine, pytest.mark.lab]

ONE = {"nodes": [{"host": "redis1", "names": ["redis1.example.com"]}]}
# What redis-cli says depends on whether the server's alert or the end of the connection is seen first.
_CUT_OFF = re.compile("Server closed the connection|Connection reset by peer|I/O error|certificate required")


@pytest.fixture
def server(stack: Stack) -> Stack:
    """One server as configured by default."""
    stack.up(ONE)
    return stack


def test_who_has_a_certificate_and_a_password_is_served(server: Stack) -> None:
    client = server.connect("redis1")
    assert client.set("key", "value")
    assert client.get("key") == b"value"
    assert client.client_info()["user"] == "app"


def test_applications_do_not_administrate(server: Stack) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        server.connect("redis1").config_get("maxmemory")


def test_a_wrong_password_and_none_are_refused(server: Stack) -> None:
    with pytest.raises(redis.AuthenticationError):
        server.connect("redis1", password="wrong").ping()
    with pytest.raises(redis.AuthenticationError):
        server.connect("redis1", username=None, password=None).ping()


def test_command_line_as_the_guide_has_it(server: Stack) -> None:
    password = server.outputs["passwords"]["app"]
    with_all = "--tls --cert {tls}/client.crt --key {tls}/client.key --cacert {tls}/root.crt --user app PING"
    told = server.host("redis1").run(
        f"REDISCLI_AUTH={password} redis-cli -h {server.address('redis1')} -p 6379 "
        + with_all.format(tls="/etc/redis/tls/client")
    )
    assert told.stdout == "PONG\n"
    without = server.cli("redis1", "-p 6379 --tls --cacert {tls}/root.crt PING")
    assert without.returncode != 0
    assert _CUT_OFF.search(without.stdout), without.stdout
    plaintext = server.cli("redis1", "-p 6379 PING")
    assert plaintext.returncode != 0
    assert _CUT_OFF.search(plaintext.stdout), plaintext.stdout


@pytest.mark.parametrize("fault", ["none", "stranger's", "ended", "for servers only"])
def test_a_client_with_the_wrong_certificate_is_refused(server: Stack, fault: str) -> None:
    trusted, files = server.client.root, server.files
    if fault == "none":
        identity = Identity(trusted)
    else:
        signer = identities.stranger() if fault == "stranger's" else server.authority()
        usage = identities.SERVER if fault == "for servers only" else identities.CLIENT
        identity = identities.issue(files, "wrong", signer, usage=usage, ended=fault == "ended", root=trusted)
    with pytest.raises(redis.ConnectionError):
        server.connect("redis1", identity=identity).ping()


@pytest.mark.parametrize(("name", "fits"), [("redis1.example.com", True), ("redis9.example.com", False)])
def test_a_client_sees_whether_the_server_is_who_it_dialled(server: Stack, name: str, fits: bool) -> None:
    client = server.client
    context = ssl.create_default_context(cafile=str(client.root))
    context.load_cert_chain(str(client.certificate), str(client.key))
    with socket.create_connection((server.address("redis1"), 6379), 5) as plain:
        if fits:
            context.wrap_socket(plain, server_hostname=name).close()
        else:
            with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
                context.wrap_socket(plain, server_hostname=name)


def test_nothing_else_is_open(server: Stack) -> None:
    assert server.open_ports("redis1") == {22, 6379}


def test_a_second_up_changes_nothing(server: Stack) -> None:
    assert server.project.up().unchanged


def test_plaintext_comes_and_goes_with_a_reason(server: Stack) -> None:
    base = ONE
    plaintext = {"because": "the batch job moves in March", "until": "2099-03-31"}
    server.up({**base, "tls": {"plaintext": plaintext}})
    assert server.open_ports("redis1") == {22, 6379, 6380}
    assert server.connect("redis1", port=6380).ping()
    text = server.host("redis1").run("cat /etc/redis/redis.conf").stdout
    assert "# sealed-data-tier: plaintext port 6379 until 2099-03-31 because the batch job moves in March\n" in text
    server.up(base)
    assert server.open_ports("redis1") == {22, 6379}
    assert server.connect("redis1").ping()
