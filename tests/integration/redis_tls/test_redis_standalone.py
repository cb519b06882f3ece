"""One server: what changes while it serves, and what is left of it. Redis and Valkey."""

from __future__ import annotations

import pytest
import redis

from tests.integration.redis_tls.stack import Identity, Stack

pytestmark = [pytest.mark.engine, pytest.mark.lab]

ONE = {"nodes": [{"host": "redis1", "names": ["redis1.example.com"]}]}
# Left out is what a package's own scripts leave behind, such as /etc/group-, and what systemctl tidies: empty folders.
TREE = r"""{ find /etc/redis /etc/valkey /etc/systemd /etc/sysctl.d /usr/local /var/lib -xdev \
    \( -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/lib/systemd -o -path /var/lib/ucf \
    -o -path /var/lib/wtmpdb -o -path '*/sealed-data-tier' -o -name 'sealed-data-tier-recover*' \) -prune \
    -o -type d -empty -o -printf '%p %y %m %U:%G %l ' \( -type f -exec sha256sum {} ';' -o -printf '\n' \) | sort
    getent passwd; getent group; } 2>/dev/null"""


@pytest.fixture(params=["redis", "valkey"], scope="module")
def flavour(request: pytest.FixtureRequest) -> str:
    """Both servers."""
    return str(request.param)


@pytest.fixture(scope="module")
def before(stack: Stack) -> str:
    """The host's files as they were before it had any of this."""
    return stack.host("redis1").run(TREE).stdout


@pytest.fixture
def server(stack: Stack, flavour: str, before: str) -> Stack:
    """One server as configured by default."""
    assert before
    stack.up({"flavour": flavour, **ONE})
    return stack


def test_what_can_change_live_cuts_no_connection(server: Stack, flavour: str) -> None:
    process = server.host("redis1").run(f"pidof {flavour}-server").stdout
    base = {"flavour": flavour, **ONE}
    with server.load("redis1") as load:
        server.up({**base, "memory": {"limit": "64mb", "policy": "allkeys-lru"}, "certificates": {"issue": 2}})
        server.up(
            {**base, "certificates": {"issue": 3}, "users": [{"name": "app"}, {"name": "more", "rules": ["+ping"]}]}
        )
    assert load.errors == []
    assert load.requests > 100
    assert load.connections > 10
    assert server.host("redis1").run(f"pidof {flavour}-server").stdout == process
    served = server.host("redis1").run(f"cat /etc/{flavour}/tls/server/server.crt").stdout
    shown = server.host("redis1").run(
        f"echo | openssl s_client -connect {server.address('redis1')}:6379 2>/dev/null | openssl x509"
    )
    assert shown.stdout.strip() == served.strip()


def test_passwords_change_in_three_runs_without_an_error(server: Stack, flavour: str) -> None:
    base = {"flavour": flavour, **ONE}
    steps = ({"current": 1, "accepted": [1, 2]}, {"current": 2, "accepted": [1, 2]}, {"current": 2})
    first = server.outputs["passwords"]["app"]
    for step in steps:
        with server.load("redis1") as load:
            server.up({**base, "passwords": step})
        assert load.errors == [], step
    assert server.outputs["passwords"]["app"] != first
    with pytest.raises(redis.AuthenticationError):
        server.connect("redis1", password=first).ping()
    server.up(base)  # and in one run, where nobody has to be spared


def test_the_authority_changes_in_three_runs_without_an_error(server: Stack, flavour: str) -> None:
    base = {"flavour": flavour, **ONE}
    steps = ({"signing": 1, "trusted": [1, 2]}, {"signing": 2, "trusted": [1, 2]}, {"signing": 2, "trusted": [2]})
    before = server.client
    (server.files / "old.crt").write_text(before.certificate.read_text() if before.certificate else "")
    (server.files / "old.key").write_text(before.key.read_text() if before.key else "")
    for step in steps:
        with server.load("redis1") as load:
            server.up(base, authority=step)
        assert load.errors == [], step
    old = Identity(server.client.root, server.files / "old.crt", server.files / "old.key")
    with pytest.raises(redis.ConnectionError):
        server.connect("redis1", identity=old).ping()
    server.up(base)


def test_what_the_server_refuses_changes_nothing(server: Stack, flavour: str) -> None:
    wrong = {"flavour": flavour, **ONE, "users": [{"name": "app", "rules": ["+nosuchcommand"]}]}
    outcome = server.up(wrong, check=False)
    assert outcome.code != 0
    assert "trial start refused the new configuration" in outcome.text
    assert "nosuchcommand" in outcome.text
    assert server.connect("redis1").ping()


def test_data_outlives_a_restart_and_the_way_from_snapshots_to_appending(server: Stack, flavour: str) -> None:
    base = {"flavour": flavour, **ONE}
    server.up({**base, "persistence": {"appendOnly": False}})
    server.connect("redis1").set("kept", "yes")
    host = server.host("redis1")
    host.run(f"systemctl stop {flavour}-server; rm -rf /var/lib/{flavour}-tls/appendonlydir")
    server.up(base)
    assert server.connect("redis1").get("kept") == b"yes"
    host.run(f"systemctl restart {flavour}-server")
    assert server.connect("redis1").get("kept") == b"yes"


def test_leaving_restores_the_host_and_keeps_the_data(stack: Stack, flavour: str, before: str) -> None:
    stack.up({"flavour": flavour, **ONE})
    stack.connect("redis1").set("left", "behind")
    stack.up(None)
    host = stack.host("redis1")
    data = f"/var/lib/{flavour}-tls"
    now = [line for line in host.run(TREE).stdout.splitlines() if data not in line]
    assert [line for line in before.splitlines() if data not in line] == now
    stack.up({"flavour": flavour, **ONE})
    assert stack.connect("redis1").get("left") == b"behind"
    stack.up({"flavour": flavour, **ONE, "removeData": True})
    stack.up(None)
    assert host.run(f"test ! -e {data}", check=False).returncode == 0
