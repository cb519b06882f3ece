"""Host keys and secrets: every rule broken and kept, and no message that holds a secret."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from components.host.bundle import pack
from components.host.role import File, RoleSpec
from tests.policies.support import COMMAND, HOST_KEY, LOCAL, REMOTE, SSH, SSHD, UNIT, remote, role, validate

PASSWORD = "Tr0ub4dor-3!"
PRIVATE_KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    + "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n" * 3
    + ("-----END OPENSSH PRIVATE KEY-----\n")
)


def connection(**changes: Any) -> dict[str, Any]:
    return {**COMMAND["connection"], **changes}


# --- host keys ---


@pytest.mark.parametrize("key", [HOST_KEY, f"{HOST_KEY} root@lb1"])
def test_pinned_host_key(key: str) -> None:
    hop = {"host": "bastion", "hostKey": key}
    assert remote(connection=connection(hostKey=key, proxy=hop)).violations == []


@pytest.mark.parametrize(
    "key",
    [None, "", "ssh-rsa AAAA", "ssh-ed25519", "ssh-ed25519 AAAA", "ecdsa-sha2-nistp256 " + "A" * 140, f"x {HOST_KEY}"],
)
def test_host_key_not_pinned(key: str | None) -> None:
    assert remote(connection=connection(hostKey=key)).rules == {"host-key"}
    outcome = remote(connection=connection(proxy={"host": "bastion", "hostKey": key}))
    assert outcome.rules == {"host-key"}
    assert "connection.proxy.hostKey" in outcome.violations[0][1]


def test_connection_that_is_not_known_yet() -> None:
    # What is left of one of which nothing but defaults is known.
    empty = {"host": "", "port": 22.0, "user": "root", "dialErrorLimit": 10.0}
    outcome = remote(connection=empty)
    assert outcome.violations == []
    assert outcome.notes == ["lb1-role: not yet checkable: connection: checked as soon as known."]


def test_host_key_left_out() -> None:
    given = connection()
    del given["hostKey"]
    outcome = remote(connection=given)
    assert outcome.violations == [
        (
            "host-key-pinned",
            "lb1-role: connection.hostKey: not set: no ed25519 host key is pinned, so that any host may answer and "
            "read what is sent. Fix: paste the line that `make host-keys HOSTS=…` prints, once its fingerprint is "
            "compared. [host-key]",
        )
    ]


@pytest.mark.parametrize("kind", ["command:remote:CopyToRemote", "command:remote:CopyFile"])
def test_copies_are_refused(kind: str) -> None:
    assert validate(kind, {"connection": connection(), "remotePath": "/x"}).rules == {"file-copy"}


def test_other_resources_are_left_alone() -> None:
    outcome = validate("tls:index/privateKey:PrivateKey", {"create": f"echo {PRIVATE_KEY}", "connection": {}})
    assert (outcome.violations, outcome.notes) == ([], [])


# --- output ---


@pytest.mark.parametrize(
    ("kind", "inputs", "broken"),
    [
        (REMOTE, {"logging": "none", "addPreviousOutputInEnv": False}, False),
        (REMOTE, {"logging": "stderr", "addPreviousOutputInEnv": False}, True),
        (REMOTE, {"addPreviousOutputInEnv": False}, True),
        (REMOTE, {"logging": "none", "addPreviousOutputInEnv": True}, True),
        (REMOTE, {"logging": "none"}, True),
        (LOCAL, {"logging": "stderr", "addPreviousOutputInEnv": False}, False),
        (LOCAL, {"logging": "stdout", "addPreviousOutputInEnv": False}, True),
    ],
)
def test_output_is_not_kept(kind: str, inputs: dict[str, Any], broken: bool) -> None:
    given = {"create": "true", **({"connection": connection()} if kind == REMOTE else {}), **inputs}
    assert validate(kind, given).rules == ({"output-kept"} if broken else set())


# --- secrets in commands ---


@pytest.mark.parametrize(
    "script",
    [
        f"bash configureCacheService.sh -m localhost -po 30379 -pw {PASSWORD}",
        f"bash configureCacheService.sh -ic_u admin -ic_p '{PASSWORD}'",
        f"tool --password={PASSWORD}",
        f"tool --db-password {PASSWORD} --x",
        f"valkey-server --requirepass {PASSWORD}",
        f"redis-cli -p 6379 -a {PASSWORD} ping",
        f"PGPASSWORD={PASSWORD} psql",
        f"export REDISCLI_AUTH={PASSWORD}; redis-cli ping",
        f"db_password='{PASSWORD}'",
        f"sshpass -p {PASSWORD} ssh x",
        f"curl -u admin:{PASSWORD} https://x",
        f"openssl pkcs12 -export -passout pass:{PASSWORD}",
        f"echo {PASSWORD} | sudo -S id",
        f"printf '%s\\n' '{PASSWORD}' | sudo -n -S id",
        f"psql postgres://app:{PASSWORD}@db/app",
        f"cat <<E >/etc/key\n{PRIVATE_KEY}E",
        f"printf 'user app on >{PASSWORD} ~*' >x\nuser app on >{PASSWORD} ~*",
    ],
)
@pytest.mark.parametrize("place", ["create", "update", "delete"])
def test_secret_in_a_command(script: str, place: str) -> None:
    outcome = remote(**{place: f"set -eu\n{script}"})
    assert outcome.rules == {"secret-in-command"}
    [(policy, message)] = outcome.violations
    assert policy == "no-secret-in-the-open"
    assert message.startswith(f"lb1-role: {place}:")
    assert PASSWORD not in message
    assert "b3BlbnNz" not in message


@pytest.mark.parametrize(
    "script",
    [
        'IFS= read -r pw; exec bash configureCacheService.sh -m localhost -ic_p "$administrator" -pw "$pw"',
        "sudo -S -p '' -- sh -c true",
        "tool --password-file /etc/x --no-password lb1 --password-stdin",
        'redis-cli -a "$(cat /run/credentials/x/pw)" ping',
        "openssl pkcs12 -passin file:/etc/x -passout env:PW",
        "PGPASSWORD=$pw psql; password=$(cat); password=${1}; password=",
        'curl https://example.com/token/x?y=1; curl -u "$user:$pw" https://x',
        "ssh-keygen -y -f key; mkdir -p /etc/x; id -a",
        'grep -q "^requirepass" /etc/valkey/valkey.conf',
        "timeout -k 10 1500 /usr/local/lib/sealed-data-tier/runtime apply passwords",
        "/usr/sbin/sshd -T -C user=tunnel,host=client,addr=192.0.2.1 | grep -qix 'passwordauthentication no'",
    ],
)
def test_no_secret_in_a_command(script: str) -> None:
    assert remote(create=script).violations == []


@pytest.mark.parametrize("kind", ["password", "privateKey", "privateKeyPassword"])
def test_the_connections_secrets_are_found_by_value(kind: str) -> None:
    for script in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode()):
        given = connection(**{kind: PASSWORD})
        assert remote(connection=given, create=f"echo {script}").rules == {"secret-in-command"}
        hop = {"host": "bastion", "hostKey": HOST_KEY, kind: PASSWORD}
        assert remote(connection=connection(proxy=hop), create=f"echo {script}").rules == {"secret-in-command"}


def test_a_line_of_a_private_key_is_found() -> None:
    line = PRIVATE_KEY.split("\n")[1]
    assert remote(connection=connection(privateKey=PRIVATE_KEY), create=f"echo {line}").rules == {"secret-in-command"}


def bundle(**contents: str) -> str:
    files = tuple(File(path=f"/etc/{name}", content=text, secret=True, mode=0o600) for name, text in contents.items())
    spec = RoleSpec(name="role", files=files)
    return pack(spec, {file.path: str(file.content) for file in files}, family="debian")


@pytest.mark.parametrize(
    ("stdin", "word"),
    [
        (f"{PASSWORD}\n", PASSWORD),
        (f"{PASSWORD}\nincarnation 1\n#!/bin/sh\ncontinue\n", PASSWORD),
        (bundle(pw=f"{PASSWORD}\n"), PASSWORD),
        (f"{PASSWORD}\n{bundle(x='y')}", PASSWORD),
        (bundle(key=PRIVATE_KEY), PRIVATE_KEY.split("\n")[1]),
        (base64.b64encode(PRIVATE_KEY.encode()).decode() + "\n", PRIVATE_KEY.split("\n")[1]),
        (base64.b64encode(PRIVATE_KEY.encode()).decode() + "\nSud0password\n", PRIVATE_KEY.split("\n")[1]),
        (base64.b64encode(PRIVATE_KEY.encode()).decode() + "\nSud0password\n", "Sud0password"),
    ],
)
def test_secrets_of_stdin_are_found_by_value(stdin: str, word: str) -> None:
    outcome = remote(stdin=stdin, create=f"echo {word} >/etc/x")
    assert outcome.rules == {"secret-in-command"}
    assert word not in outcome.violations[0][1]
    assert remote(stdin=stdin, environment={"X": word}).rules == {"secret-in-environment"}


def test_words_of_stdin_that_are_no_secrets() -> None:
    stdin = "192.0.2.1\nlb1.example.com\n/etc/haproxy\nincarnation 1\n#!/bin/sh\nContinue1\n"
    script = "ping 192.0.2.1 lb1.example.com; ls /etc/haproxy; Continue1"
    assert remote(stdin=stdin, create=script).violations == []


@pytest.mark.parametrize(
    ("environment", "broken"),
    [
        ({"REDISCLI_AUTH": PASSWORD}, True),
        ({"DB_PASSWORD": PASSWORD}, True),
        ({"URL": f"redis://:{PASSWORD}@x"}, True),
        ({"KEY": PRIVATE_KEY}, True),
        ({"DB_PASSWORD_FILE": "/etc/x", "DB_PASSWORD": "/run/x", "HOME": "/root", "PASSWORD": ""}, False),
    ],
)
def test_environment(environment: dict[str, str], broken: bool) -> None:
    outcome = remote(environment=environment)
    assert outcome.rules == ({"secret-in-environment"} if broken else set())
    assert PASSWORD not in str(outcome)


# --- secrets in roles ---


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/x.pem", PRIVATE_KEY),
        ("/etc/valkey/users.acl", f"user default on >{PASSWORD} ~* +@all\n"),
        ("/etc/x.conf", f"requirepass {PASSWORD}\n"),
        ("/etc/x.conf", "requirepass Pa$$w0rd\n"),
        ("/etc/x.conf", f'masterauth "{PASSWORD}"\n'),
        ("/etc/x.conf", f"sentinel auth-pass main {PASSWORD}\n"),
        ("/etc/x.cfg", f"userlist u\n  user app insecure-password {PASSWORD}\n"),
        ("/etc/x.cfg", f"  stats auth admin:{PASSWORD}\n"),
        ("/etc/x.cfg", f'  tcp-check send "AUTH {PASSWORD}\\r\\n"\n'),
        ("/etc/x.cfg", f"  tcp-check send AUTH\\ {PASSWORD}\\r\\n\n"),
        ("/etc/x.cfg", f'  tcp-check send "AUTH app \\"{PASSWORD}\\"\\r\\n"\n'),
        ("/etc/keepalived/keepalived.conf", f"  auth_pass {PASSWORD}\n"),
        ("/etc/patroni.yml", f"  replication:\n    password: {PASSWORD}\n"),
        ("/etc/x.env", f"DB_PASSWORD={PASSWORD}\n"),
        ("/usr/local/bin/x", f"#!/bin/sh\nredis-cli -a {PASSWORD} ping\n"),
        ("/etc/x.ini", f"url = postgres://app:{PASSWORD}@db/app\n"),
    ],
)
def test_secret_in_a_reviewed_file(path: str, text: str) -> None:
    outcome = role({path: f"# x\n{text}"})
    assert "secret-in-file" in outcome.rules
    for _, message in outcome.violations:
        assert PASSWORD not in message
        assert "b3BlbnNz" not in message
    assert f"{path}:{2 + text[: text.find(PASSWORD)].count(chr(10)) if PASSWORD in text else 2}:" in str(outcome)


@pytest.mark.parametrize(
    "text",
    [
        "password_encryption = scram-sha-256\nssl_passphrase_command = 'x'\n",
        "user default on #5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8 ~* +@all\n",
        "user default off nopass\n",
        '    tcp-check send "AUTH ${PW}\\r\\n"\n    tcp-check send "PING\\r\\n"\n',
        '    tcp-check send "AUTH app \\"${PW}\\"\\r\\n" comment AUTH\n    tcp-check expect string +OK comment AUTH\n',
        "PasswordAuthentication no\nTLSKeyFile /etc/x\ntls-key-file /etc/x\n",
        "password: ${PW}\ntoken: /run/x\npassword=$(cat /run/x)\n",
        "http://example.com:8080/x@y\n",
        "# the password is in /etc/valkey/users.acl\nUser tunnel\n",
    ],
)
def test_no_secret_in_a_reviewed_file(text: str) -> None:
    assert role({"/etc/x": text}).violations == []


@pytest.mark.parametrize("group", ["validations", "checks"])
def test_secret_in_a_roles_own_commands(group: str) -> None:
    outcome = role({}, **{group: {"ping": f"redis-cli -a {PASSWORD} ping"}})
    assert outcome.rules == {"secret-in-command"}
    assert f"{group}.ping:1" in outcome.violations[0][1]


@pytest.mark.parametrize(
    ("mode", "broken"),
    [("0600", False), ("0640", False), ("0400", False), ("0644", True), ("0660", True), ("0740", True)],
)
def test_mode_of_secret_files(mode: str, broken: bool) -> None:
    outcome = role({}, secretFiles=["/etc/x"], modes={"/etc/x": f"{mode} root:haproxy", "/etc/y": "0644 root:root"})
    assert outcome.rules == ({"secret-mode"} if broken else set())


@pytest.mark.parametrize("path", ["/etc/haproxy/haproxy.cfg", "/etc/valkey/valkey.conf", SSHD, UNIT])
def test_configuration_must_not_hide(path: str) -> None:
    assert role({}, secretFiles=[path], modes={path: "0600 root:root"}).rules == {"hidden-configuration"}


def test_the_password_file_of_haproxy_holds_no_listener() -> None:
    path = "/etc/haproxy/environment.cfg"
    assert role({}, secretFiles=[path], modes={path: "0600 root:root"}).violations == []
    good, bad = "global\n  setenv PW 'x y'\n", "global\n  setenv PW x\nfrontend f\n  bind *:80\n"
    assert remote(stdin=bundle(**{"haproxy/environment.cfg": good})).violations == []
    outcome = remote(stdin=bundle(**{"haproxy/environment.cfg": bad}))
    assert outcome.rules == {"hidden-configuration"}
    assert f"{path}:4" in outcome.violations[0][1]


def test_the_password_file_of_redis_holds_only_passwords() -> None:
    path = "/etc/valkey/passwords.conf"
    files = {"/etc/valkey/valkey.conf": f"bind 127.0.0.1\ninclude {path}\n"}
    outcome = role(files, secretFiles=[path], modes={path: "0640 root:valkey"})
    assert (outcome.violations, outcome.notes) == ([], [])
    good = f"masterauth {PASSWORD}\nrequirepass {PASSWORD}\n"
    assert remote(stdin=bundle(**{"valkey/passwords.conf": good})).violations == []
    outcome = remote(stdin=bundle(**{"valkey/passwords.conf": f"{good}bind 0.0.0.0\n"}))
    assert outcome.rules == {"hidden-configuration"}
    assert f"{path}:3: `bind`" in outcome.violations[0][1]


def test_secret_files_of_tunnels_are_fine() -> None:
    key = SSH.replace("lb1.conf", "id_ed25519")
    assert role({}, secretFiles=[key], modes={key: "0600 root:root"}).violations == []
