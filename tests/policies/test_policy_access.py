"""Redis access: who is served, over what; and plaintext ports that a configuration itself declares."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from components.host.bundle import pack
from components.host.role import File, RoleSpec
from policies.rules import HostFiles, check_files
from tests.policies.support import REDIS, ROLE, found, remote, role, validate

SENTINEL = "/etc/valkey/sentinel.conf"
USERS = "/etc/valkey/users.acl"
PASSWORDS = "/etc/valkey/passwords.conf"
TLS = "bind *\nport 0\ntls-port 6379\n"
TODAY = datetime.now(tz=UTC).date()
PASSWORD = "C4che-passw0rd"


def broken(text: str, rule: str, path: str = REDIS, **others: str) -> bool:
    return any(finding.rule == rule and not finding.note for finding in found(path, text, **others))


# --- the default user ---


@pytest.mark.parametrize(
    ("users", "open_to_all"),
    [
        ("", True),
        ("user default on nopass ~* &* +@all", True),
        ("user default >secret-word on nopass", True),
        ("user default off\nuser default on nopass +ping", True),
        ("USER default ON NOPASS +@all", True),
        ('requirepass ""', True),
        ("user app on nopass +@all", True),
        ("user default off nopass", False),
        ("user default off", False),
        ("user default on nopass >secret-word +@all", False),
        ("user default on nopass resetpass", False),
        ("user default on nopass reset", False),
        ("user default on #0123 +@all", False),
        ("requirepass secret-word", False),
    ],
)
@pytest.mark.parametrize("path", [REDIS, SENTINEL])
def test_default_user_without_certificates(path: str, users: str, open_to_all: bool) -> None:
    for lenient in ("tls-auth-clients no", "tls-auth-clients optional", "port 6380"):
        assert broken(f"{TLS}{lenient}\n{users}\n", "redis-default-user", path) is open_to_all
    assert not broken(f"{TLS}tls-auth-clients yes\n{users}\n", "redis-default-user", path)
    assert not broken(f"{TLS}tls-auth-clients no\nbind 127.0.0.1\n{users}\n", "redis-default-user", path)


def test_default_user_in_an_acl_file() -> None:
    text = f"{TLS}tls-auth-clients optional\naclfile {USERS}\nrequirepass does-not-count-then\n"
    assert broken(text, "redis-default-user", **{USERS: "user default on nopass ~* +@all\n"})
    assert broken(text, "redis-default-user", **{USERS: "user app on #0123 +@all\n"}), "nobody turned it off"
    assert not broken(text, "redis-default-user", **{USERS: "user default off\nuser app on nopass +@all\n"})
    [finding] = [each for each in found(REDIS, text) if each.rule == "redis-default-user"]
    assert (finding.note, finding.value) == (True, f"aclfile {USERS}")


def test_default_user_message() -> None:
    outcome = role({REDIS: f"{TLS}tls-auth-clients optional\nuser default on nopass ~* +@all\n"})
    assert outcome.violations[1:] == [
        (
            "redis-access",
            "lb1-role: /etc/valkey/valkey.conf:5: `user default on nopass`: tls-auth-clients optional lets clients in "
            "without a certificate, and the user `default` needs no password: whoever connects may do what it may. "
            "Fix: write 'user default off', or 'tls-auth-clients yes' and 'port 0'. [redis-default-user]",
        )
    ]


def sent(texts: Mapping[str, str], secrets: Mapping[str, str]) -> str:
    """Standard input of a role's command."""
    files = [File(path=path, content=text) for path, text in texts.items()]
    files += [File(path=path, content=text, mode=0o600, secret=True) for path, text in secrets.items()]
    return pack(RoleSpec(name="cache", files=tuple(files)), {**texts, **secrets}, family="debian")


@pytest.mark.parametrize(
    ("users", "open_to_all"),
    [("user default on nopass +@all\n", True), ("user app on #0123\n", True), ("user default off\n", False)],
)
def test_default_user_in_a_secret_file_is_seen_where_it_is_sent(users: str, open_to_all: bool) -> None:
    text = f"{TLS}tls-auth-clients optional\naclfile {USERS}\n"
    seen = role({REDIS: text}, secretFiles=[USERS])
    assert seen.rules == {"redis-bind"}
    assert seen.notes == []
    outcome = remote(stdin=sent({REDIS: text}, {USERS: users}))
    assert outcome.rules == ({"redis-default-user"} if open_to_all else set())
    hidden = HostFiles(texts={REDIS: text}, secret=frozenset({USERS}), hidden={USERS: users})
    assert ("redis-default-user" in {each.rule for each in check_files(hidden)}) is open_to_all


@pytest.mark.parametrize(("line", "open_to_all"), [(f"requirepass {PASSWORD}\n", False), ("masterauth x\n", True)])
def test_password_of_the_default_user_in_a_secret_part(line: str, open_to_all: bool) -> None:
    text = f"{TLS}tls-auth-clients optional\ninclude {PASSWORDS}\n"
    assert role({REDIS: text}, secretFiles=[PASSWORDS]).rules == {"redis-bind"}
    outcome = remote(stdin=sent({REDIS: text}, {PASSWORDS: line}))
    assert outcome.rules == ({"redis-default-user"} if open_to_all else set())
    assert PASSWORD not in str(outcome)


# --- TLS that keeps its promises ---


@pytest.mark.parametrize(
    ("line", "weak"),
    [
        ("tls-protocols TLSv1", True),
        ('tls-protocols "TLSv1.1 TLSv1.2"', True),
        ('tls-protocols "SSLv3 TLSv1.3"', True),
        ('tls-protocols "TLSv1.2 TLSv1.3"', False),
        ('tls-protocols "tlsv1.3"', False),
        ('tls-protocols ""', False),
        ("", False),
    ],
)
def test_protocols(line: str, weak: bool) -> None:
    assert broken(TLS + line, "redis-protocols") is weak
    assert broken(TLS + line, "redis-protocols", SENTINEL) is weak


@pytest.mark.parametrize(
    ("line", "weak"),
    [
        ("tls-ciphers NULL-SHA256", True),
        ("tls-ciphers aNULL", True),
        ("tls-ciphers HIGH:eNULL", True),
        ("tls-ciphers HIGH,RC4-SHA", True),
        ("tls-ciphers EXPORT", True),
        ("tls-ciphers ECDHE-RSA-DES-CBC3-SHA", True),
        ("tls-ciphers kRSA+MD5", True),
        ("tls-ciphers ADH-AES256-GCM-SHA384", True),
        ("tls-ciphers ALL", True),
        ('tls-ciphers "DEFAULT:@SECLEVEL=0"', True),
        ("tls-ciphersuites TLS_SHA256_SHA256", True),
        ("tls-ciphers ALL:!aNULL:!eNULL", False),
        ("tls-ciphers DEFAULT:!MEDIUM:!MD5:-RC4:+AES", False),
        ("tls-ciphers HIGH:!aNULL:!MD5", False),
        ("tls-ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305", False),
        ("tls-ciphersuites TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256", False),
        ("", False),
    ],
)
def test_ciphers(line: str, weak: bool) -> None:
    assert broken(TLS + line, "redis-ciphers") is weak
    assert not broken(f"bind 127.0.0.1\n{line}", "redis-ciphers"), "without TLS it says nothing"


@pytest.mark.parametrize(("mode", "rule"), [("no", True), ("NO", True), ("yes", False)])
def test_protected_mode(mode: str, rule: bool) -> None:
    assert broken(f"bind 127.0.0.1\nprotected-mode {mode}\n", "redis-protected-mode") is rule
    assert broken(f"{TLS}protected-mode {mode}\n", "redis-protected-mode", SENTINEL) is rule


# --- plaintext ports that a configuration declares ---


def dual(marker: str, port: int = 6379) -> str:
    return f"{marker}\nbind 10.0.0.5\nport {port}\ntls-port 6380\nuser default off\n"


def marker(until: object = "2999-12-31", because: str = "clients move until then", port: int = 6379) -> str:
    return f"# sealed-data-tier: plaintext port {port} until {until} because {because}"


@pytest.mark.parametrize("until", ["2999-12-31", TODAY])
def test_declared_plaintext_port_is_told_until_its_day(until: object) -> None:
    outcome = role({REDIS: dual(marker(until))})
    assert outcome.violations == []
    assert [note.partition("lb1-role: ")[0] for note in outcome.notes] == [
        f"exception until {until} (clients move until then): "
    ] * 2
    assert {note.rpartition("[")[2] for note in outcome.notes} == {"redis-bind]", "redis-port]"}


def test_declared_plaintext_port_is_a_violation_after_its_day() -> None:
    yesterday = TODAY - timedelta(days=1)
    outcome = role({REDIS: dual(marker(yesterday))})
    assert outcome.rules == {"redis-bind", "redis-port"}
    told = f"The exception for it (clients move until then) ended on {yesterday}: renew or remove it."
    assert all(message.endswith(told) for _, message in outcome.violations)


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "# port 6379 stays",
        marker(port=6380),
        marker(because="why not"),
        f"## {marker()}",
        f"appendonly no {marker()}",
        marker("soon"),
        marker("2026-02-31"),
    ],
)
def test_what_declares_nothing(comment: str) -> None:
    assert role({REDIS: dual(comment)}).rules >= {"redis-bind", "redis-port"}


def test_declared_plaintext_port_excuses_nothing_else() -> None:
    text = dual(marker()).replace("user default off", "user default on nopass")
    assert role({REDIS: text}).rules == {"redis-default-user"}
    assert role({REDIS: dual(marker()) + "tls-protocols TLSv1\n"}).rules == {"redis-protocols"}


def test_exception_of_the_policies_may_hold_longer() -> None:
    item = {"path": REDIS, "reason": "one more week for them", "expires": "2999-12-31"}
    config = {
        policy: {"exceptions": [{**item, "rule": rule}]}
        for policy, rule in (("bind-to-localhost", "redis-bind"), ("plaintext-port-disabled", "redis-port"))
    }
    outcome = validate(ROLE, {"files": {REDIS: dual(marker("2001-01-01"))}}, config=config)
    assert outcome.violations == []
    assert all("(one more week for them)" in note for note in outcome.notes)
