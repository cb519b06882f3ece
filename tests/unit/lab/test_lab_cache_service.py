"""The stand-in for a NodePort is on loopback only, its password only where root can read, and what answers is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab import cache_service
from lab.cluster import node_image
from lab.settings import CacheSettings, ClusterSettings, LabSettings


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


def test_what_answers_is_told() -> None:
    hosts = ("control", "worker1", "worker2")
    without = "the cache is a stand-in without Kubernetes, behind port 30379 of worker1, worker2, since"
    assert cache_service.told(LabSettings(hosts=hosts)) == f"{without} lab.cluster is null"
    elsewhere = ClusterSettings(source="kubeconfig", kubeconfig=Path(__file__))
    assert cache_service.told(LabSettings(hosts=hosts, cluster=elsewhere)) == (
        f"{without} no host is a node of lab.cluster"
    )
    built = LabSettings(hosts=hosts, cluster=ClusterSettings(workers=("worker2",)), cache=CacheSettings(port=30400))
    assert cache_service.told(built) == (
        f"the cache is Valkey on Kubernetes {node_image.version()}, behind NodePort 30400 of control, worker2"
    )
    assert cache_service.told(LabSettings(hosts=hosts, cache=None)) == ""
