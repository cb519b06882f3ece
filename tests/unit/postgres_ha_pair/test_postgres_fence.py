"""When the other node may be fenced, as far as this can be told without hosts."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, Final

import pytest

from components.postgres_ha_pair.templates.fence import Fence, Key

FACTS: Final = Path(__file__).parents[2] / "golden" / "postgres" / "fence" / "fence.json"


def keys(**changed: Any) -> dict[str, Key]:
    """What etcd has while db2 leads and db1 is its synchronous standby, with changes; None for a key that is gone."""
    known: dict[str, Any] = {
        "leader": "db2",
        "sync": {"leader": "db2", "sync_standby": "db1"},
        "config": {"ttl": 20},
        "members/db1": {"state": "running", "role": "replica"},
    }
    known.update(changed)
    told = {
        name: each if isinstance(each, str) else json.dumps(each) for name, each in known.items() if each is not None
    }
    return {name: Key(text, 7) for name, text in told.items()}


@pytest.fixture
def fence() -> Fence:
    return Fence(FACTS)


def test_a_leader_whose_standby_is_synchronous_can_be_replaced(fence: Fence) -> None:
    assert fence.replaceable(keys())


@pytest.mark.parametrize(
    "changed",
    [
        {"leader": None},
        {"leader": "db1"},
        {"sync": None},
        {"sync": {"leader": "db2", "sync_standby": None}},
        {"sync": {"leader": "db2", "sync_standby": "db3"}},
        {"sync": {"leader": "db1", "sync_standby": "db2"}},
        {"config": None},
        {"config": {"ttl": 20, "pause": True}},
        {"members/db1": None},
        {"members/db1": {"state": "stopped", "role": "replica"}},
        {"members/db1": {"state": "running", "role": "primary"}},
    ],
)
def test_otherwise_it_cannot(fence: Fence, changed: dict[str, Any]) -> None:
    assert not fence.replaceable(keys(**changed))


def test_a_host_that_refuses_a_connection_is_there(fence: Fence, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        monkeypatch.setattr(fence, "_patroni_answers", lambda: False)
        fence.address, fence.ports = "127.0.0.1", [listening.getsockname()[1]]
        assert fence.answers()
        # Takes connections, and never says a word: frozen, and yet there.
        listening.listen()
        assert fence.answers()


def test_without_etcd_nobody_is_fenced(fence: Fence, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(fence, "confirmed_off", lambda: asked.append("off"))
    for told in (None, keys(leader="db1")):
        monkeypatch.setattr(fence, "keys", lambda told=told: told)
        assert fence.fence()
    assert asked == []


@pytest.mark.parametrize(("confirmed", "answers"), [(False, False), (True, True)])
def test_nothing_is_removed_of_a_host_that_may_be_there(
    fence: Fence, monkeypatch: pytest.MonkeyPatch, confirmed: bool, answers: bool
) -> None:
    removed: list[str] = []
    monkeypatch.setattr(fence, "keys", keys)
    monkeypatch.setattr(fence, "confirmed_off", lambda: confirmed)
    monkeypatch.setattr(fence, "_host_answers", lambda: answers)
    monkeypatch.setattr(fence, "remove_lock", lambda _: removed.append("lock"))
    assert not fence.fence()
    assert removed == []
