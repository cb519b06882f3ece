"""HAProxy before a group of Redis: TLS passes through to the primary, whoever that is."""

from __future__ import annotations

import socket

import pytest
import redis

from tests.integration.haproxy_redis.front import ADDRESS, GROUP, NODES, Front
from tests.integration.redis_tls.stack import Identity
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]


def test_clients_speak_tls_with_the_primary_itself(front: Front) -> None:
    primary = front.primary()
    assert front.serving() == [primary]
    before = front.sessions()
    with front.writes("through") as writer:
        wait_for(lambda: len(writer.written) > 20)
    assert writer.errors == []
    assert set(writer.servers) == {f"orders {primary}"}
    after = front.sessions()
    assert {name for name in NODES if after[name] > before[name]} == {primary}


def test_who_has_no_certificate_or_no_tls_gets_nowhere(front: Front) -> None:
    with pytest.raises(redis.RedisError):
        front.connect(identity=Identity(front.identity.root)).ping()
    with socket.create_connection((ADDRESS, 6379), timeout=5) as plain:
        plain.sendall(b"PING\r\n")
        assert plain.recv(64) == b""


def test_checks_may_ask_and_do_nothing_else(front: Front) -> None:
    checker = front.connect(username="haproxy", password=front.outputs["passwords"]["haproxy"])
    assert checker.info("replication")["role"] == "master"
    for command in (["SET", "key", "value"], ["GET", "key"], ["CONFIG", "GET", "port"], ["CLIENT", "LIST"]):
        with pytest.raises(redis.exceptions.NoPermissionError):
            checker.execute_command(*command)


def test_a_killed_primary_is_followed(front: Front) -> None:
    former = front.primary()
    host = front.host(former)
    before = front.sessions()
    try:
        with front.writes("killed") as writer:
            # Not only killed, which systemd heals before Sentinel notices, but kept from coming back.
            host.run("systemctl mask --runtime redis-server && systemctl kill -s KILL redis-server")
            wait_for(lambda: front.serving() and front.serving() != [former])
    finally:
        host.run("systemctl unmask --runtime redis-server && systemctl start redis-server")
    (now,) = front.serving()
    front.settle()
    assert front.primary() == now != former
    assert set(writer.servers) == {f"orders {former}", f"orders {now}"}
    assert not [error for error in writer.errors if isinstance(error, redis.exceptions.ReadOnlyError)]
    after = front.sessions()
    (bystander,) = set(NODES) - {former, now}
    assert after[bystander] == before[bystander]


def test_a_rolling_restart_is_followed_and_loses_nothing(front: Front) -> None:
    former = front.primary()
    with front.writes("rolled") as writer:
        front.up(redis={**GROUP, "ioThreads": 2})
    front.settle()
    assert front.serving() == [front.primary()]
    assert len(set(writer.servers)) > 1, f"{former} handed over"
    with front.connect() as client:
        found = client.mget([f"rolled:{number}" for number in writer.written])
    lost = [number for number, value in zip(writer.written, found, strict=True) if value is None]
    assert len(writer.written) > 100
    assert lost == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("certificate", "comment: 'AUTH'"),  # in TLS 1.3 a client learns with the first answer that it is refused
        ("password", "did not match content '+OK'"),
        ("names", "Server presented an SSL certificate different from the configured one"),
    ],
)
def test_checks_and_servers_believe_no_strangers(front: Front, wrong: str, said: str) -> None:
    front.up(wrong=wrong)
    # Each server is asked in its own time, and replicas were down before.
    wait_for(lambda: front.serving() == [] and front.refused(said) == list(NODES))
    with pytest.raises((redis.RedisError, OSError)):
        front.connect().ping()
    front.up()
    wait_for(front.well)


def test_clients_of_a_frozen_primary_are_cut_off_and_led_to_the_next(front: Front) -> None:
    former = front.primary()
    host = front.host(former)
    with front.writes("frozen") as writer:
        try:
            host.run("systemctl kill -s STOP redis-server")
            wait_for(lambda: front.serving() and former not in front.serving())
            known = len(writer.written)
            wait_for(lambda: len(writer.written) > known)
        finally:
            host.run("systemctl kill -s CONT redis-server")
        # It believes to be the primary until Sentinel tells it otherwise.
        wait_for(lambda: front.role(former) == "slave")
    front.settle()
    assert front.primary() != former
    assert front.serving() == [front.primary()]
