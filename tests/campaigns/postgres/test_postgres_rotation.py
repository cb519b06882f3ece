"""Certificates and passwords change under an application that writes: no error, no restart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from tests.integration.postgres.stack import ADDRESSES, CLIENT, NODES, PAIR, Stack

pytestmark = [pytest.mark.engine, pytest.mark.lab]

_AUTHORITIES: Final = (
    {"signing": 1, "trusted": [1, 2]},
    {"signing": 2, "trusted": [1, 2]},
    {"signing": 2, "trusted": [2]},
)
_PASSWORDS: Final = ({"current": 1, "accepted": [1, 2]}, {"current": 2, "accepted": [1, 2]}, {"current": 2})


def started(pair: Stack) -> dict[str, str]:
    return {host: pair.postgres(host, "SELECT pg_postmaster_start_time()").stdout for host in NODES}


def served(pair: Stack, host: str) -> str:
    ask = f"openssl s_client -starttls postgres -connect {ADDRESSES[host]}:5432 -CAfile {CLIENT}/root.crt"
    return pair.application.run(f"{ask} </dev/null 2>/dev/null | openssl x509 -noout -serial").stdout


@contextmanager
def unnoticed(pair: Stack, what: Any) -> Iterator[None]:
    """Let an application write meanwhile, which must not notice anything; nor may a server restart or hand over."""
    before, leader = started(pair), pair.leader()
    with pair.writing() as written:
        yield
    assert written.errors == [], f"{what}\n{pair.story()}"
    assert all(written.confirmed.values())
    assert (started(pair), pair.leader()) == (before, leader)
    assert written.numbers <= pair.read()
    pair.wait_until_whole()


def test_certificates_are_issued_anew(pair: Stack) -> None:
    before = {host: served(pair, host) for host in NODES}
    with unnoticed(pair, "issue"):
        pair.up({**PAIR, "certificates": {"issue": 2}})
    for host in NODES:
        assert served(pair, host) not in ("", before[host])
        assert pair.psql(f"host={ADDRESSES[host]} sslmode=verify-full").returncode == 0
    assert pair.project.up().unchanged


def test_the_authority_changes(pair: Stack) -> None:
    for step in _AUTHORITIES:
        with unnoticed(pair, step):
            pair.authority = step
            pair.up(PAIR)
    # What the REST API trusts has changed too: a node still changes something on the other one.
    leader = pair.leader()
    pair.pair(pair.other(leader), "switchover", "--candidate", pair.other(leader), "--force")
    pair.wait_until_whole()
    assert pair.leader() != leader


def test_passwords_change(pair: Stack) -> None:
    for step in _PASSWORDS:
        with unnoticed(pair, step):
            pair.up({**PAIR, "passwords": step})
    assert pair.outputs["users"] == {"lunadirector": "lunadirector_alternate"}
    # What was written belongs to the same owner, whoever logged in.
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    assert pair.postgres("db1", owners, database="lunadirectordb").stdout == "lunadirector\n"
    logins = "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname !~ '^pg_|^postgres$' ORDER BY 1"
    told = pair.postgres("db1", logins).stdout.split()
    assert told == ["lunadirector_alternate", "replicator_alternate", "rewinder_alternate"]
    # The standby still follows with its new login, and could take over.
    leader = pair.leader()
    pair.pair(leader, "switchover", "--candidate", pair.other(leader), "--force")
    pair.wait_until_whole()
