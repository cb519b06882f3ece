"""What is refused before any host is touched, and how it is told."""

from __future__ import annotations

from typing import Any, Final

import pytest

from components.redis_tls_cluster.settings import RedisTlsSettings
from components.settings import InvalidConfigurationError, load
from tests.variation import varied

ONE: Final = {"nodes": [{"host": "redis1"}]}
THREE: Final = [{"host": f"redis{number}"} for number in (1, 2, 3)]
WATCHED: Final = {"topology": "sentinel", "nodes": THREE}
SHARED: Final = {"topology": "cluster", "nodes": THREE}


def problems(data: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidConfigurationError) as refused:
        load(RedisTlsSettings, data, "redis")
    return refused.value.problems


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (varied(ONE, "nodes.0.host", None), "redis.nodes[0].host: Input should be a valid string"),
        ({"nodes": []}, "redis.nodes: is empty: list at least one"),
        ({"nodes": THREE}, "redis.nodes: 3 nodes: standalone is one; set topology to sentinel or cluster"),
        (
            {"nodes": [*THREE, THREE[0]], "topology": "cluster"},
            "redis.nodes[3].host: 'redis1' runs a node already: one a host",
        ),
        (varied(ONE, "name", "My Redis"), "redis.name: 'My Redis' cannot name a group"),
        (
            varied(ONE, "memory.limit", "much"),
            "redis.memory.limit: 'much' is no size: write bytes, or a",
        ),
        (varied(ONE, "tls.protocols", ["TLSv1.1"]), "redis.tls.protocols[0] ('TLSv1.1')"),
        (varied(ONE, "tls.directory", "keys"), "redis.tls.directory: 'keys' is no directory"),
        (
            varied(ONE, "tls.plaintext", {"because": "batch jobs", "until": "2099-01-01", "port": 6380}),
            "redis.port: 6380 is the plaintext port: use another one, such as 6380",
        ),
        (varied(ONE, "tls.plaintext", {"because": "batch jobs"}), "redis.tls.plaintext.until: is missing: set it"),
        (
            varied(ONE, "users", [{"name": "manager"}]),
            "redis.users[0].name: 'manager' is an account that the nodes use among themselves: choose another name",
        ),
        (
            varied(ONE, "users", [{"name": "app", "rules": [">secret"]}]),
            "redis.users[0].rules[0]: '>secret' is no ACL rule",
        ),
        (varied(ONE, "users", [{"name": "app", "rules": ["nopass"]}]), "redis.users[0].rules[0]: 'nopass'"),
        (varied(ONE, "users", [{"name": "a"}, {"name": "a"}]), "redis.users[1].name: 'a' is listed twice: remove one"),
        (
            varied(ONE, "users", [{"name": "app", "alsoAccepted": ["old"]}]),
            "redis.users[0].alsoAccepted: the password is generated: use passwords.accepted, or give password too",
        ),
        (varied(ONE, "users", [{"name": "app", "password": ""}]), "redis.users[0].password: is empty"),
        (varied(ONE, "passwords", {"current": 2, "accepted": [1]}), "redis.passwords.accepted: [1] lacks 2"),
        (varied(ONE, "sentinel.quorum", 2), "redis.sentinel: nobody watches with topology standalone: remove it"),
        (varied(ONE, "cluster.replicas", 1), "redis.cluster: there is none with topology standalone: remove it"),
        (
            varied(WATCHED, "nodes", THREE[:1]),
            "redis.nodes: one node has no replica that could take over: list more, or use standalone",
        ),
        (
            varied(WATCHED, "nodes", THREE[:2]),
            "redis.sentinel.hosts: 2 sentinels cannot outvote a lost one: list at least 3 hosts",
        ),
        (varied(WATCHED, "sentinel.quorum", 1), "redis.sentinel.quorum: 1 of 3: use 2 to 3, so that no minority acts"),
        (
            varied(WATCHED, "replication.minReplicasToWrite", 3),
            "redis.replication.minReplicasToWrite: 3 of 2 replicas: no write would ever pass; use less",
        ),
        (
            varied(WATCHED, "persistence", {"appendOnly": False, "snapshots": []}),
            "redis.persistence: a primary that restarts empty empties its replicas: set appendOnly, or list snapshots",
        ),
        (varied(WATCHED, "sentinel.port", 6379), "redis.sentinel.port: 6379 is the server's port: use another one"),
        (
            varied(SHARED, "cluster.replicas", 1),
            "redis.nodes: 3 nodes with 1 replicas each: list 6 or a greater multiple of 2",
        ),
        (
            varied(WATCHED, "tls.plaintext", {"because": "batch jobs", "until": "2099-01-01"}),
            "redis.port: is missing: nodes know each other by it",
        ),
        (varied(SHARED, "port", 60000), "redis.port: 60000: the cluster's bus is 10000 above: use at most 55535"),
    ],
)
def test_refused_with_path_value_and_fix(data: dict[str, Any], problem: str) -> None:
    assert any(line.startswith(problem) for line in problems(data)), problems(data)


def test_all_problems_are_told_at_once() -> None:
    assert len(problems(varied(varied(ONE, "nodes", THREE), "users", [{"name": "a"}, {"name": "a"}]))) == 2


def test_a_password_is_in_no_message() -> None:
    told = problems(varied(ONE, "users", [{"name": "a b", "password": "correct-horse"}]))
    assert "correct-horse" not in "\n".join(told)


@pytest.mark.parametrize(
    ("data", "ports"),
    [
        (ONE, (6379, 0)),
        (varied(ONE, "tls.plaintext", {"because": "batch jobs", "until": "2099-01-01"}), (6380, 6379)),
        (varied(ONE, "port", 7000), (7000, 0)),
    ],
)
def test_ports(data: dict[str, Any], ports: tuple[int, int]) -> None:
    settings = load(RedisTlsSettings, data, "redis")
    assert (settings.tls_port, settings.plaintext_port) == ports
