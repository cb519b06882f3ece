"""PostgreSQL, Patroni and etcd: what is open, in plaintext, or without a limit."""

from __future__ import annotations

from typing import Final

import pytest

from policies.parsers import postgres, settings_tree
from policies.rules import HostFiles, check_files
from tests.authority import Authority
from tests.policies.support import found, role, rules

HBA: Final = "/etc/postgresql/17/main/pg_hba.conf"
CONF: Final = "/etc/postgresql/17/main/postgresql.conf"
PATRONI: Final = "/etc/patroni/config.yml"
ETCD: Final = "/etc/default/etcd"

SEALED_PATRONI: Final = """\
etcd3: {hosts: "192.0.2.11:2379", protocol: https, cacert: /etc/patroni/tls/root.crt}
restapi:
  listen: 192.0.2.11:8008
  certfile: /etc/patroni/tls/node.crt
  verify_client: optional
bootstrap:
  dcs:
    postgresql:
      parameters:
        max_slot_wal_keep_size: 10GB
  initdb:
  - encoding: UTF8
  - data-checksums
postgresql:
  listen: 192.0.2.11,127.0.0.1:5432
  parameters:
    ssl: 'on'
    password_encryption: scram-sha-256
  pg_hba:
  - local all postgres peer
  - hostssl all all 192.0.2.0/24 scram-sha-256
"""
SEALED_ETCD: Final = """\
ETCD_LISTEN_PEER_URLS="https://192.0.2.11:2380"
ETCD_LISTEN_CLIENT_URLS="https://192.0.2.11:2379,http://127.0.0.1:2379"
ETCD_CLIENT_CERT_AUTH=true
ETCD_PEER_CLIENT_CERT_AUTH=true
"""


PGBACKREST: Final = "/etc/pgbackrest/pgbackrest.conf"
SEALED_REPOSITORY: Final = """\
[global]
repo1-path=/var/lib/pgbackrest
repo1-cipher-type=aes-256-cbc
repo1-storage-verify-tls=y
tls-server-address=192.0.2.20
tls-server-auth=shop member=shop
"""


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("repo1-cipher-type=aes-256-cbc\n", "", "pgbackrest-cipher"),
        ("aes-256-cbc", "none", "pgbackrest-cipher"),
        ("verify-tls=y", "verify-tls=n", "pgbackrest-tls"),
        ("member=shop", "member=*", "pgbackrest-tls"),
        ("member=shop\n", "member=shop\ntls-server-auth=other=*\n", "pgbackrest-tls"),
        ("192.0.2.20", "*", "postgres-listen"),
        ("192.0.2.20", "::", "postgres-listen"),
    ],
)
def test_repositories(old: str, new: str, rule: str) -> None:
    assert rules(found(PGBACKREST, SEALED_REPOSITORY.replace(old, new))) == {rule}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (PGBACKREST, SEALED_REPOSITORY),
        (PGBACKREST, "# repo1-path=/backups\nrepo1-path=/backups\nrepo1-host=192.0.2.20\n"),
        (PATRONI, SEALED_PATRONI),
        (ETCD, SEALED_ETCD),
        (ETCD, "ETCD_LISTEN_CLIENT_URLS=http://localhost:2379\n"),
        (CONF, "listen_addresses = '192.0.2.11, localhost'\nssl = on\n"),
        (CONF, "port = 5432\n"),
    ],
)
def test_what_is_sealed_breaks_no_rule(path: str, text: str) -> None:
    assert found(path, text) == []


@pytest.mark.parametrize(
    ("line", "open_to_more"),
    [
        ("local all all trust", False),
        ("local all all md5", False),
        ("hostssl all all 192.0.2.0/24 scram-sha-256", False),
        ("hostssl all all 192.0.2.0 255.255.255.0 scram-sha-256 clientcert=verify-full", False),
        ("hostssl all all 2001:db8::/64 cert map=app", False),
        ('hostssl "my db" "a ""user""" .example.com scram-sha-256', False),
        ("host all all 127.0.0.1/32 scram-sha-256", False),
        ("host all all samehost scram-sha-256", False),
        ("host all all all reject", False),
        ("# host all all all trust", False),
        ("host all all 192.0.2.0/24 scram-sha-256", True),
        ("host replication replicator 192.0.2.0/24 scram-sha-256", True),
        ("hostnossl all all 192.0.2.0/24 scram-sha-256", True),
        ("hostgssenc all all 192.0.2.0/24 gss", True),
        ("hostssl all all 192.0.2.0/24 md5", True),
        ("hostssl all all 192.0.2.0 255.255.255.0 password", True),
        ("hostssl all all 192.0.2.0/24 trust", True),
        ("host all all ::1/128 trust", True),
        ("host all all 127.0.0.1/32 ident", True),
        ("hostssl all all 192.0.2.0/24", True),
    ],
)
def test_doors(line: str, open_to_more: bool) -> None:
    assert ("postgres-hba" in rules(found(HBA, f"{line}\n"))) is open_to_more
    patroni = SEALED_PATRONI + f"  - '{line}'\n"
    assert ("postgres-hba" in rules(found(PATRONI, patroni))) is open_to_more


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("listen_addresses = '*'\nssl = on\n", {"postgres-listen"}),
        ("listen_addresses = '192.0.2.11'\n", {"postgres-ssl"}),
        ("listen_addresses = '192.0.2.11'\nssl = on\nssl = off\n", {"postgres-ssl"}),
        ("listen_addresses '0.0.0.0'\nssl yes\n", {"postgres-listen"}),
        ("listen_addresses = ''  # the socket alone\nssl = off\n", set()),
        ("password_encryption = md5\n", {"postgres-passwords"}),
        ("password_encryption = 'scram-sha-256'\n", set()),
    ],
)
def test_servers(text: str, rule: set[str]) -> None:
    assert rules(found(CONF, text)) == rule


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("ssl: 'on'", "ssl: 'off'", "postgres-ssl"),
        ("    ssl: 'on'\n", "", "postgres-ssl"),
        ("192.0.2.11,127.0.0.1:5432", "0.0.0.0:5432", "postgres-listen"),
        ("192.0.2.11,127.0.0.1:5432", "'*:5432'", "postgres-listen"),
        ("listen: 192.0.2.11:8008", "listen: 0.0.0.0:8008", "postgres-listen"),
        ("password_encryption: scram-sha-256", "password_encryption: md5", "postgres-passwords"),
        ("  - data-checksums\n", "", "postgres-checksums"),
        ("  initdb:\n  - encoding: UTF8\n  - data-checksums\n", "", "postgres-checksums"),
        ("max_slot_wal_keep_size: 10GB", "max_slot_wal_keep_size: '-1'", "postgres-slots"),
        ("max_slot_wal_keep_size: 10GB", "max_connections: 10", "postgres-slots"),
        ("  certfile: /etc/patroni/tls/node.crt\n", "", "patroni-rest"),
        ("verify_client: optional", "verify_client: none", "patroni-rest"),
        ("  verify_client: optional\n", "", "patroni-rest"),
        ("protocol: https", "protocol: http", "patroni-etcd"),
        (", cacert: /etc/patroni/tls/root.crt", "", "patroni-etcd"),
    ],
)
def test_one_changed_line_of_patroni(old: str, new: str, rule: str) -> None:
    assert old in SEALED_PATRONI
    assert rules(found(PATRONI, SEALED_PATRONI.replace(old, new))) == {rule}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('URLS="https://192.0.2.11:2380', 'URLS="http://192.0.2.11:2380'),
        ("https://192.0.2.11:2379", "http://192.0.2.11:2379"),
        ("http://127.0.0.1:2379", "http://0.0.0.0:2379"),
        ("ETCD_CLIENT_CERT_AUTH=true", "ETCD_CLIENT_CERT_AUTH=false"),
        ("ETCD_PEER_CLIENT_CERT_AUTH=true\n", ""),
    ],
)
def test_one_changed_line_of_etcd(old: str, new: str) -> None:
    assert old in SEALED_ETCD
    assert rules(found(ETCD, SEALED_ETCD.replace(old, new, 1))) == {"etcd-tls"}


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (("192.0.2.11", "192.0.2.100", "2001:db8::5"), set()),
        (("192.0.2.11", "192.0.2.100"), {"2001:db8:0::5"}),
        (("192.0.2.11", "2001:db8::5"), {"192.0.2.100"}),
    ],
)
@pytest.mark.parametrize("by_patroni", [True, False], ids=["patroni", "postgresql.conf"])
def test_certificates_are_for_every_address(names: tuple[str, ...], missing: set[str], by_patroni: bool) -> None:
    addresses, node = "192.0.2.11,192.0.2.100,2001:db8:0::5,127.0.0.1", "/etc/tls/node.crt"
    told = SEALED_PATRONI.replace("192.0.2.11,127.0.0.1", f"'{addresses}").replace("5432\n", "5432'\n")
    told = told.replace("    ssl: 'on'\n", f"    ssl: 'on'\n    ssl_cert_file: {node}\n")
    conf = f"listen_addresses = '{addresses}'\nssl = on\nssl_cert_file = '{node}'\n"
    texts = {PATRONI: told} if by_patroni else {CONF: conf}
    certificate, _ = Authority().issue(*names)
    findings = check_files(HostFiles(texts={**texts, node: certificate}))
    assert {each.problem.split(": ")[0].rpartition(" ")[2] for each in findings} == missing
    assert rules(findings) <= {"postgres-names"}
    # Before it is issued there is nothing to compare.
    assert check_files(HostFiles(texts=texts)) == []


def test_files_of_a_directory_are_one_configuration() -> None:
    one = "postgresql:\n  listen: 192.0.2.11:5432\n"
    two = "postgresql:\n  parameters:\n    ssl: true\n"
    both = {"/etc/postgres-pair/patroni.d/1.yml": one, "/etc/postgres-pair/patroni.d/2.yml": two}
    assert check_files(HostFiles(texts=both)) == []
    assert rules(check_files(HostFiles(texts={"/etc/patroni/1.yml": one, "/etc/patroni/2.yml": two}))) == {
        "postgres-ssl"
    }


def test_a_message_names_file_line_and_fix() -> None:
    outcome = role({PATRONI: SEALED_PATRONI.replace("hostssl all", "host all")})
    assert outcome.violations == [
        (
            "postgres-access",
            "lb1-role: /etc/patroni/config.yml:21: `host all all 192.0.2.0/24 scram-sha-256`: whoever matches it may "
            "come in plaintext. Fix: write hostssl. [postgres-hba]",
        )
    ]


def test_what_is_no_yaml_is_told() -> None:
    assert rules(found(PATRONI, "restapi: [\n")) == {"unreadable"}
    assert rules(found(PATRONI, "- restapi\n")) == {"unreadable"}


def test_passwords_of_patroni_may_be_a_secret_file_of_their_own() -> None:
    path = "/etc/postgres-pair/patroni.d/20-passwords.yml"
    assert role({}, secretFiles=[path], modes={path: "0600 postgres:postgres"}).rules == set()
    hidden = "/etc/patroni/config.yml"
    assert role({}, secretFiles=[hidden], modes={hidden: "0600 postgres:postgres"}).rules == {"hidden-configuration"}


def test_the_last_line_of_a_parameter_holds() -> None:
    known = postgres.settings("ssl = on\nSSL = 'off' # not yet\nsearch_path = 'it''s'\n")
    assert (known["ssl"].value, known["ssl"].line) == ("off", 2)
    assert known["search_path"].value == "it's"


def test_values_keep_the_line_of_the_file_that_says_them() -> None:
    whole, problems = settings_tree.parse({"/a.yml": "a:\n  b: 1\n  c: 2\n", "/b.yml": "# more\na:\n  b: 3\n"})
    assert not problems
    changed, kept = whole.at("a", "b"), whole.at("a", "c")
    assert changed
    assert (changed.value, changed.path, changed.line) == ("3", "/b.yml", 3)
    assert kept
    assert (kept.value, kept.path, kept.line) == ("2", "/a.yml", 3)
