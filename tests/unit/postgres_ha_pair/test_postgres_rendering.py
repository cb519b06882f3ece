"""What is written: golden files, and what must hold of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.keepalived_vip.rendering import configuration
from components.names import is_address
from components.postgres_ha_pair import rendering, virtual_ip
from components.postgres_ha_pair.parameters import parameters, refused
from components.postgres_ha_pair.rendering import Group, Place
from components.postgres_ha_pair.scram import verifier
from components.postgres_ha_pair.settings import PostgresHaSettings
from components.settings import load

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "postgres"
NAMES: Final = sorted(path.stem for path in GOLDEN.glob("*.yaml"))
_ASCII: Final = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


def golden(name: str) -> PostgresHaSettings:
    return load(PostgresHaSettings, yaml.safe_load((GOLDEN / f"{name}.yaml").read_text()), "postgres")


def group(settings: PostgresHaSettings) -> Group:
    places = [
        Place(name=node.host, address=str(node.address or f"192.0.2.{11 + at}"))
        for at, node in enumerate(settings.nodes)
    ]
    assert settings.witness
    witness = Place(name=settings.witness.host, address=str(settings.witness.address or "192.0.2.20"))
    return Group(nodes=tuple(places), witness=witness)


def rendered(settings: PostgresHaSettings) -> dict[str, str]:
    """Everything that reviewers see of the first node, by file name."""
    everybody = group(settings)
    here = everybody.nodes[0]
    allowed = [node.address for node in everybody.nodes]
    files = {
        "10-pair.yml": rendering.configuration(settings, here, everybody, allowed),
        "pair.json": rendering.facts(settings, here, everybody),
        "is-leader": rendering.leader_check(settings, here),
        "patroni.service.d": rendering.unit(settings),
        "etcd.env": rendering.etcd_environment(settings, here),
        "member.env": rendering.etcd_facts(settings, here, everybody),
        "etcd.service": rendering.etcd_unit(settings),
        "patroni-etcd-leader.service": rendering.etcd_leader_unit(settings),
        "witness.json": rendering.witness_facts(settings),
        **moved(settings, everybody),
    }
    if settings.backup:
        files |= {
            "pgbackrest.conf": rendering.pgbackrest_of_node(settings, here, everybody),
            "repository/pgbackrest.conf": rendering.pgbackrest_of_repository(settings, everybody.witness, everybody),
            "repository/repository.json": rendering.repository_facts(settings, settings.backup),
            "repository/postgres-backup@.service": rendering.backup_unit(settings),
            "repository/full.timer": rendering.backup_timer(settings, settings.backup, "full"),
            "repository/differential.timer": rendering.backup_timer(settings, settings.backup, "diff"),
        }
    if settings.fence:
        files |= {
            "fence.json": rendering.fence_facts(settings, settings.fence, here, everybody),
            "postgres-pair-fence.service": rendering.fence_unit(settings),
        }
    return files


def moved(settings: PostgresHaSettings, everybody: Group) -> dict[str, str]:
    """What keepalived is told, where the pair has a virtual IP."""
    if settings.virtual_ip is None:
        return {}
    addresses = {node.name: ip_address(node.address) for node in everybody.nodes}
    told = virtual_ip.keepalived(settings, settings.virtual_ip)
    return {
        "virtual-ip-here": rendering.virtual_ip_here(settings, everybody.nodes[0]),
        "keepalived.conf": configuration(told, everybody.nodes[0].name, addresses),
    }


def patroni(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load(rendered(golden(name))["10-pair.yml"]))


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str) -> None:
    for file, text in rendered(golden(name)).items():
        path = GOLDEN / name / file
        if os.environ.get("UPDATE_GOLDEN"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.read_text() == text


@pytest.mark.parametrize("name", NAMES)
def test_nobody_is_let_in_without_tls_and_scram(name: str) -> None:
    for line in patroni(name)["postgresql"]["pg_hba"]:
        kind, database, users, *rest = line.split()
        if kind == "local":
            by_account = ["peer", "map=patroni"] if database == "replication" else ["peer"]
            assert rest == (["scram-sha-256"] if users == "all" else by_account)
        else:
            assert kind == "hostssl"
            assert rest[1] == "scram-sha-256"
            assert "/" in rest[0]


def test_what_is_longer_than_its_column_stays_apart() -> None:
    database = {"name": "a" * 53, "user": "b" * 53, "clients": ["fd5d:7a1e:203:62:1:2:3:4/128"]}
    data = yaml.safe_load((GOLDEN / "version-16.yaml").read_text())
    settings = load(PostgresHaSettings, data | {"databases": [database]}, "postgres")
    lines = [str(each).split() for each in rendering.rules(settings, group(settings))]
    assert ["hostssl", "a" * 53, f"{'b' * 53},{'b' * 53}_alternate", *database["clients"], "scram-sha-256"] in lines


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_tls_and_nothing_listens_everywhere(name: str) -> None:
    known = patroni(name)
    assert known["etcd3"]["protocol"] == "https"
    assert known["restapi"]["verify_client"] == "optional"
    assert {"certfile", "keyfile", "allowlist"} <= set(known["restapi"])
    own = known["postgresql"]["parameters"]
    assert own["ssl"] == "on"
    listened = known["postgresql"]["listen"].rpartition(":")[0].split(",")
    assert all(is_address(each) and each not in ("0.0.0.0", "::") for each in listened)
    settings = (line for line in rendered(golden(name))["etcd.env"].splitlines() if "_URLS=" in line)
    assert all(line.partition("=")[2].startswith("https://") for line in settings)


def test_the_lock_outlives_no_leader() -> None:
    for name in NAMES:
        told = patroni(name)["bootstrap"]["dcs"]
        assert told["loop_wait"] + 2 * told["retry_timeout"] <= told["ttl"]
        assert told["synchronous_mode"] is True
        assert told["postgresql"]["parameters"]["max_slot_wal_keep_size"] not in ("-1", -1)


def test_no_password_is_in_what_reviewers_see() -> None:
    settings = golden("ccc")
    current = {"patroni": "correct-horse", "replicator": "battery", "rewinder": "staple"}
    assert yaml.safe_load(rendering.passwords(current)) == {
        "etcd3": {"password": "correct-horse"},
        "postgresql": {
            "authentication": {"replication": {"password": "battery"}, "rewind": {"password": "staple"}},
        },
    }
    text = "".join(rendered(settings).values())
    assert "password:" not in text
    assert json.loads(rendering.facts(settings, group(settings).nodes[0], group(settings)))["scope"] == "ccc"


def test_what_opens_the_repository_is_in_no_file_that_reviewers_see() -> None:
    settings = golden("backup")
    text = "".join(rendered(settings).values())
    assert settings.backup
    assert rendering.pgbackrest_secrets(settings.backup) == (
        "[global]\nrepo1-cipher-pass=only-for-this-test-and-long-enough\n"
        "repo1-s3-key=AKIDEXAMPLE\nrepo1-s3-key-secret=only-for-this-test\n"
    )
    assert not any(each in text for each in ("only-for-this-test", "AKIDEXAMPLE"))


def test_wal_is_archived_only_where_there_is_a_repository() -> None:
    for name in NAMES:
        told = patroni(name)["bootstrap"]["dcs"]["postgresql"]["parameters"]
        assert told["archive_mode"] == ("on" if golden(name).backup else "off")
        assert ("archive_command" in told) is (golden(name).backup is not None)


def test_accounts_hold_hashes_and_one_login_a_generation() -> None:
    settings = golden("ccc")
    accepted = {name: {2: "correct-horse"} for name in ("replicator", "rewinder", "lunadirector", "analyst")}
    text = rendering.accounts(settings, accepted)
    assert "correct-horse" not in text
    assert "ALTER ROLE lunadirector NOLOGIN NOREPLICATION NOSUPERUSER PASSWORD NULL;" in text
    assert re.search(r"ALTER ROLE lunadirector_alternate LOGIN [A-Z ]+ PASSWORD 'SCRAM-SHA-256\$4096:", text)
    assert "ALTER ROLE lunadirector_alternate SET role = 'lunadirector';" in text
    assert "ALTER DATABASE lunadirectordb OWNER TO lunadirector;" in text


def test_a_given_password_has_one_login() -> None:
    data = yaml.safe_load((GOLDEN / "version-16.yaml").read_text())
    data["databases"][0]["password"] = "correct-horse"
    settings = load(PostgresHaSettings, data, "postgres")
    accepted = {name: {1: "correct-horse"} for name in ("replicator", "rewinder", "shop")}
    assert "shop_alternate" not in rendering.accounts(settings, accepted)
    assert "shop_alternate" not in rendered(settings)["10-pair.yml"]


def test_further_parameters_come_last() -> None:
    assert list(parameters(golden("ccc")))[-3:] == ["log_min_duration_statement", "random_page_cost", "jit"]


def test_what_is_harmless_may_be_set() -> None:
    data = yaml.safe_load((GOLDEN / "version-16.yaml").read_text())
    own = {"log_line_prefix": "%m [%p] ", "max_wal_senders": 20, "max_replication_slots": "12"}
    settings = load(PostgresHaSettings, data | {"parameters": own}, "postgres")
    assert list(refused(settings)) == []
    assert own.items() <= parameters(settings).items()


@given(login=_ASCII, password=_ASCII)
def test_verifiers_are_what_a_server_computes(login: str, password: str) -> None:
    """RFC 5802: what the client proves with the password is what the verifier holds."""
    iterations_and_salt, keys = verifier(login, password).removeprefix("SCRAM-SHA-256$").split("$")
    iterations, salt = iterations_and_salt.split(":")
    stored, server = (base64.b64decode(each) for each in keys.split(":"))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    client = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
    assert hashlib.sha256(client).digest() == stored
    assert hmac.new(salted, b"Server Key", hashlib.sha256).digest() == server
    assert verifier(login, password) == verifier(login, password)
    assert verifier(login + "2", password) != verifier(login, password)
