"""The stand-in for a NodePort is on loopback only, and its password only where root can read."""

from __future__ import annotations

import re

import pytest

from lab import cache_service


@pytest.mark.parametrize(
    ("password", "line"),
    [
        ("plain", 'requirepass "plain"'),
        ('a "b" \\c', r'requirepass "a \"b\" \\c"'),
        ("pässword", 'requirepass "pässword"'),
    ],
)
def test_a_password_is_one_word_to_valkey(password: str, line: str) -> None:
    assert line in cache_service.configuration(password).splitlines()


def test_valkey_is_on_no_network() -> None:
    assert "port 0" in cache_service.configuration("x").splitlines()


def test_workers_offer_it_on_loopback_only() -> None:
    files = {str(each.file): str(each.content) for each in cache_service.node_port(31000)}
    streams = re.findall(r"ListenStream=(.*)", files["/etc/systemd/system/cache-service.socket"])
    assert streams == ["127.0.0.1:31000", "[::1]:31000"]
