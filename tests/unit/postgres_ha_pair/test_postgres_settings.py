"""What is refused before any host is touched, and how it is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from pydantic import BaseModel

from components.postgres_ha_pair.settings import PostgresHaSettings, kilobytes, login, logins
from components.settings import InvalidConfigurationError, load
from tests.variation import varied

DATABASE: Final = {"name": "orders", "user": "shop", "clients": ["192.0.2.21"]}
BACKUP: Final = {"cipherPass": "long-enough-for-a-passphrase"}
BUCKET: Final = {"bucket": "b", "endpoint": "s3.example.com", "region": "eu", "key": "AKID", "keySecret": "secret"}
PAIR: Final = {"nodes": [{"host": "db1"}, {"host": "db2"}], "witness": {"host": "lb1"}, "databases": [DATABASE]}


def problems(data: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidConfigurationError) as refused:
        load(PostgresHaSettings, data, "postgres")
    return refused.value.problems


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({**PAIR, "nodes": []}, "postgres.nodes: is empty: list at least one"),
        ({**PAIR, "nodes": [{"host": "db1"}]}, "postgres.nodes: 1 hosts: a pair has two; list two"),
        (varied(PAIR, "nodes.1.host", "db1"), "postgres.nodes[1].host: 'db1' would be lost with the first one"),
        (
            {key: value for key, value in PAIR.items() if key != "witness"},
            "postgres.witness: is missing: of two hosts that lose sight of each other neither can tell",
        ),
        (varied(PAIR, "witness.host", "db2"), "postgres.witness.host: 'db2' has a vote already: name a third host"),
        (varied(PAIR, "version", 14), "postgres.version (14): Input should be greater than or equal to 15"),
        (varied(PAIR, "name", "My Pair"), "postgres.name: 'My Pair' cannot name a pair"),
        (varied(PAIR, "adopt", "db9"), "postgres.adopt: 'db9' is none of the nodes: name one of db1, db2"),
        (varied(PAIR, "adopt", "db2"), "postgres.adopt: 'db2' has to be the first primary: list it first in nodes"),
        (varied(PAIR, "databases.0.clients", []), "postgres.databases[0].clients: is empty: list at least one"),
        (varied(PAIR, "databases.0.clients", ["app1"]), "postgres.databases[0].clients[0]: 'app1' is no source"),
        (varied(PAIR, "databases.0.name", "Orders"), "postgres.databases[0].name: 'Orders' is no name here"),
        (varied(PAIR, "databases.0.name", "postgres"), "postgres.databases[0].name: 'postgres' means something else"),
        (varied(PAIR, "databases.0.user", "postgres"), "postgres.databases[0].user: 'postgres' means something else"),
        (varied(PAIR, "databases.0.user", "replicator"), "postgres.databases[0].user: 'replicator' means something"),
        (varied(PAIR, "databases.0.user", "a_alternate"), "postgres.databases[0].user: 'a_alternate' means something"),
        (varied(PAIR, "databases.0.password", ""), "postgres.databases[0].password: is empty or has more than"),
        ({**PAIR, "databases": [DATABASE, DATABASE]}, "postgres.databases[1].name: 'orders' is listed twice"),
        (
            {**PAIR, "databases": [DATABASE, {**DATABASE, "name": "more", "password": "correct-horse"}]},
            "postgres.databases[1].password: 'shop' has one password: give it with its first database only",
        ),
        (varied(PAIR, "restPort", 5432), "postgres.restPort: 5432 is connections.port already: use another one"),
        (varied(PAIR, "memory.sharedBuffers", "8G"), "postgres.memory.sharedBuffers: '8G' is no size: write a number"),
        (varied(PAIR, "wal.checkpointTimeout", "15m"), "postgres.wal.checkpointTimeout: '15m' is no time"),
        (varied(PAIR, "wal.minSize", "8GB"), "postgres.wal.minSize: 8GB is more than maxSize (4GB): lower it"),
        (varied(PAIR, "wal.slotLimit", "100MB"), "postgres.wal.slotLimit: 100MB is less than keepSize (512MB)"),
        (
            varied(PAIR, "connections", {"limit": 25, "reserved": 25}),
            "postgres.connections.reserved: 25 of 25 leaves none to applications: lower it",
        ),
        (varied(PAIR, "failover.ttl", 19), "postgres.failover.ttl (19): Input should be greater than or equal to 20"),
        (
            varied(PAIR, "failover.retryTimeout", 10),
            "postgres.failover.ttl: 20 is less than loopWait and twice retryTimeout, 21: a leader could outlive",
        ),
        (varied(PAIR, "etcd.electionMs", 400), "postgres.etcd.electionMs: 400 is less than five heartbeats of 100 ms"),
        (
            varied(PAIR, "passwords", {"current": 3, "accepted": [1, 3]}),
            "postgres.passwords.accepted: [1, 3]: an account has two roles of one password each",
        ),
        (varied(PAIR, "parameters", {"Work Mem": 1}), "postgres.parameters.Work Mem.[key]: 'Work Mem' is no parameter"),
        (varied(PAIR, "replication.mode", "async"), "postgres.replication.mode ('async')"),
        (varied(PAIR, "dataDirectory", "data"), "postgres.dataDirectory: 'data' is no directory"),
        (
            varied(PAIR, "virtualIp", {"addresses": ["192.0.2.10"], "interface": "eth0"}),
            "postgres.virtualIp.addresses[0]: '192.0.2.10' has no prefix length: write it as `ip address` does",
        ),
        (
            varied(PAIR, "virtualIp", {"addresses": ["192.0.2.10/24"]}),
            "postgres.virtualIp.interface: is missing: set it",
        ),
        (varied(PAIR, "backup", {}), "postgres.backup.cipherPass: is missing: set it"),
        (varied(PAIR, "backup", {"cipherPass": "short"}), "postgres.backup.cipherPass: is too short, or has more than"),
        (varied(PAIR, "backup", {**BACKUP, "full": "%h"}), "postgres.backup.full: '%h' is no time for a timer"),
        (
            varied(PAIR, "backup", {**BACKUP, "bootstrap": "2030-01-31 12:00:00"}),
            "postgres.backup.bootstrap: '2030-01-31 12:00:00' is nothing to begin with: write latest, or a time",
        ),
        (
            varied(PAIR, "backup", {**BACKUP, "bootstrap": "newest"}),
            "postgres.backup.bootstrap: 'newest' is nothing to begin with: write latest, or a time with its zone",
        ),
        (
            varied(varied(PAIR, "adopt", "db1"), "backup", {**BACKUP, "bootstrap": "latest"}),
            "postgres.backup.bootstrap: 'latest' with adopt (db1): the pair begins with that host's data or with a",
        ),
        (varied(PAIR, "backup", {**BACKUP, "port": 5432}), "postgres.backup.port: 5432 is connections.port already"),
        (varied(PAIR, "backup", {**BACKUP, "maxAge": "a day"}), "postgres.backup.maxAge: 'a day' is no time"),
        (
            varied(PAIR, "backup", {**BACKUP, "retention": {"full": 0}}),
            "postgres.backup.retention.full (0): Input should be greater than or equal to 1",
        ),
        (
            varied(PAIR, "backup", {**BACKUP, "s3": {**BUCKET, "keySecret": "a\nb"}}),
            "postgres.backup.s3.keySecret: is empty or has more than printable ASCII: copy it again",
        ),
        (varied(PAIR, "fence", {"command": []}), "postgres.fence.command: is empty: list at least one"),
        (
            varied(PAIR, "fence", {"command": ["power-off"]}),
            "postgres.fence.command[0]: 'power-off' is no program: give its absolute path",
        ),
        (
            varied(PAIR, "fence", {"command": ["/bin/off", "$HOME"]}),
            "postgres.fence.command[1]: '$HOME' cannot be an argument: give printable ASCII without blanks",
        ),
        (
            varied(PAIR, "fence", {"command": ["/bin/off"], "timeout": 17}),
            "postgres.fence.timeout: 17 with silence (3) is no less than failover.ttl (20), after which nobody asks",
        ),
        (varied(PAIR, "slots", 3), "postgres.slots: nobody reads this key: use one of adopt, "),
    ],
)
def test_refused(data: dict[str, Any], problem: str) -> None:
    assert any(each.startswith(problem) for each in problems(data)), problems(data)


def test_every_problem_is_told_at_once() -> None:
    data = varied(varied(PAIR, "nodes.1.host", "db1"), "restPort", 5432)
    assert len(problems(data)) == 2


def test_a_given_password_is_never_shown() -> None:
    settings = load(PostgresHaSettings, varied(PAIR, "databases.0.password", "correct-horse"), "postgres")
    assert "correct-horse" not in repr(settings)
    text = "\n".join(problems(varied(varied(PAIR, "databases.0.password", "correct-hörse"), "restPort", 5432)))
    assert "hörse" not in text


def test_what_opens_a_repository_is_never_shown() -> None:
    data = varied(PAIR, "backup", {**BACKUP, "s3": BUCKET})
    shown = repr(load(PostgresHaSettings, data, "postgres"))
    text = "\n".join(problems(varied(data, "backup", {"cipherPass": "shört", "s3": {**BUCKET, "key": "schlüssel"}})))
    assert not any(each in shown + text for each in (BACKUP["cipherPass"], "shört", "schlüssel", "secret')"))


def test_generations_take_turns() -> None:
    assert [login("shop", generation) for generation in (1, 2, 3)] == ["shop", "shop_alternate", "shop"]
    assert logins("shop") == ("shop", "shop_alternate")


@pytest.mark.parametrize(("size", "number"), [("8kB", 8), ("1MB", 1024), ("2GB", 2 * 1024**2), ("1TB", 1024**3)])
def test_sizes(size: str, number: int) -> None:
    assert kilobytes(size) == number


#: What the table has in one row.
_WHOLE: Final = {("nodes",), ("witness",), ("databases",), ("virtualIp",)}


def keys(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of the settings that has no keys of its own, or is described as a whole."""
    for name, field in model.model_fields.items():
        here = (*path, field.alias or name)
        inner = [each for each in (field.annotation, *get_args(field.annotation)) if isinstance(each, type)]
        below = [each for each in inner if issubclass(each, BaseModel)]
        if below and here not in _WHOLE:
            yield from keys(below[0], here)
        else:
            yield here


def test_every_key_is_in_the_table() -> None:
    text = (Path(__file__).parents[3] / "docs" / "postgres_ha_pair.md").read_text()
    table = text.partition("## Settings\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    told: set[tuple[str, ...]] = set()
    for row in rows:
        before: tuple[str, ...] = ()
        for word in re.findall(r"`([^`]+)`", row):
            here = tuple(word.replace("[]", "").lstrip(".").split("."))
            before = (*before[:-1], *here) if word.startswith(".") else here
            told.add(before)
    assert {path for path in keys(PostgresHaSettings) if path not in told} == set()
    assert {path for path in told if path not in {*keys(PostgresHaSettings), ("backup",)}} == set()
