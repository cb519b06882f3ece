"""What is written: golden files, and that policies read from them what was meant."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.redis_tls_cluster import rendering
from components.redis_tls_cluster.rendering import Group
from components.redis_tls_cluster.settings import RedisTlsSettings, Topology
from components.settings import load
from policies.parsers import redis

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "redis"
NAMES: Final = sorted(path.stem for path in GOLDEN.glob("*.yaml"))
ADDRESS: Final = "192.0.2.11"


def golden(name: str) -> RedisTlsSettings:
    return load(RedisTlsSettings, yaml.safe_load((GOLDEN / f"{name}.yaml").read_text()), "redis")


def rendered(settings: RedisTlsSettings) -> dict[str, str]:
    """Everything that reviewers see of one node, by file name."""
    group = Group(
        nodes=tuple(f"192.0.2.{11 + at}" for at in range(len(settings.nodes))),
        sentinels=tuple(f"192.0.2.{11 + at}" for at in range(len(settings.sentinel_hosts))),
    )
    files = {
        f"{settings.flavour}.conf": rendering.configuration(settings, ADDRESS),
        "startup.conf": rendering.startup(settings),
        "server.service.d": rendering.unit(settings),
        "node.env": rendering.environment(settings, ADDRESS, group),
    }
    if settings.topology is Topology.SENTINEL:
        files["sentinel.conf"] = rendering.sentinel(settings, ADDRESS, group)
        files["sentinel.service.d"] = rendering.sentinel_unit(settings)
    return files


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str) -> None:
    for file, text in rendered(golden(name)).items():
        path = GOLDEN / name / file
        if os.environ.get("UPDATE_GOLDEN"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        assert path.read_text() == text


@pytest.mark.parametrize("name", NAMES)
def test_policies_read_what_is_written(name: str) -> None:
    settings = golden(name)
    here = rendering.place(settings)
    files = {f"{here}/{file}": text for file, text in rendered(settings).items() if file.endswith(".conf")}
    read = redis.parse(f"{here}/{settings.flavour}.conf", files)
    assert not read.problems
    assert read.bind.values == (ADDRESS,)
    assert int(read.port.value) == settings.plaintext_port
    assert int(read.tls_port.value) == settings.tls_port
    assert read.setting("tls-auth-clients").value == settings.tls.auth_clients
    assert read.is_on("tls-replication", "no") is (settings.topology is not Topology.STANDALONE)
    assert read.is_on("cluster-enabled", "no") is (settings.topology is Topology.CLUSTER)


def test_accounts_hold_hashes_and_least_rights() -> None:
    settings = golden("sentinel")
    accepted = {name: ["correct-horse", "battery"] for name in ("manager", "replication", "sentinel", "app")}
    text = rendering.users(settings, accepted)
    lines = {line.split()[1]: line for line in text.splitlines()}
    assert lines["default"] == "user default off resetpass resetkeys resetchannels -@all"
    assert lines["replication"].split()[2:3] + lines["replication"].split()[5:] == [
        "on",
        "+psync",
        "+replconf",
        "+ping",
    ]
    assert "+@all" not in lines["manager"]
    assert "correct-horse" not in text
    assert lines["app"].count("#") == 2
    watch = rendering.sentinel_users(settings, accepted)
    assert "+sentinel " not in next(line for line in watch.splitlines() if line.startswith("user app "))


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_any_password_is_only_a_hash(password: str) -> None:
    settings = golden("standalone")
    text = rendering.users(settings, {"manager": [password], "app": [password]})
    assert all(len(word) == 65 for line in text.splitlines() for word in line.split() if word.startswith("#"))
    assert len(text.splitlines()) == 3
