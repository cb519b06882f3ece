"""Hosts in the configuration: what is refused, and with which words."""

from __future__ import annotations

from typing import Any

import pytest

from components.host import HostSettings, fingerprint, pinned_key
from components.host.keys import endpoint, label
from components.settings import InvalidConfigurationError, load

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILlgr8l/G7NryHnJnSJ91lmLGnupyBGM4d0KAzmhg0C3"
GOOD = {"address": "app1.example.com", "user": "ops", "hostKey": KEY}


def problems(data: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidConfigurationError) as refused:
        load(HostSettings, data, "hosts.app1")
    return refused.value.problems


def test_every_problem_is_told_at_once() -> None:
    told = problems({"address": "a b", "hostkey": KEY, "user": "Ops!"})
    assert [line.partition(":")[0] for line in told] == [
        "hosts.app1.address",
        "hosts.app1.user",
        "hosts.app1.hostKey",
        "hosts.app1.hostkey",
    ]
    assert "use one of address, bastion, family, hostKey" in told[-1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hostKey": "ssh-rsa AAAAB3Nza"}, "make host-keys"),
        ({"hostKey": "ssh-ed25519 AAAA"}, "make host-keys"),
        ({"port": 0}, "hosts.app1.port (0)"),
        ({"family": "windows"}, "'debian' or 'rhel'"),
        ({"user": "root", "sudoPassword": "x"}, "remove sudoPassword"),
        ({"sourceAddresses": ["app1"]}, "hosts.app1.sourceAddresses[0]: 'app1' is no address or network"),
        ({"incarnation": "a b"}, "hosts.app1.incarnation"),
        ({"bastion": {"address": "b", "user": "ops"}}, "hosts.app1.bastion.hostKey: is missing"),
    ],
)
def test_refusals_say_what_to_write(change: dict[str, Any], words: str) -> None:
    assert words in "\n".join(problems({**GOOD, **change}))


def test_secrets_are_not_in_errors_or_representations() -> None:
    secret = "hunter2"
    assert secret not in "\n".join(problems({**GOOD, "port": "x", "sudoPassword": secret, "privateKey": [secret]}))
    assert secret not in repr(load(HostSettings, {**GOOD, "sudoPassword": secret}, "hosts.app1"))


def test_pinned_key_loses_its_comment() -> None:
    assert pinned_key(f"{KEY} root@app1") == KEY


def test_fingerprint_is_openssh_s() -> None:
    assert fingerprint(KEY) == "SHA256:KABafdbD8Q4RuI2hrfDjxeeOD9Xcd6l6JQ4dFsSp4n0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app1", ("app1", 22)),
        ("app1:2222", ("app1", 2222)),
        ("2001:db8::1", ("2001:db8::1", 22)),
        ("[2001:db8::1]:2222", ("2001:db8::1", 2222)),
    ],
)
def test_endpoints_of_host_keys(text: str, expected: tuple[str, int]) -> None:
    assert endpoint(text) == expected


@pytest.mark.parametrize("text", ["a b", "app1:ssh", "app_1"])
def test_endpoints_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no host name|has no port"):
        endpoint(text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("app1.example.com", "app1"), ("192.0.2.11", "host-192-0-2-11"), ("2001:db8::11", "host-2001-db8-11")],
)
def test_hosts_get_names_of_their_own(name: str, expected: str) -> None:
    assert label(name) == expected
