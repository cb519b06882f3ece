"""A subnet that something else on this machine has is refused, with whose it is."""

from __future__ import annotations

import json

import pytest

from lab import network
from lab.console import LabError
from lab.settings import LabSettings

OWN = "0123456789abcdef"
NETWORKS = [
    {"Name": "sealed-data-tier", "Id": OWN, "IPAM": {"Config": [{"Subnet": "10.203.17.0/24"}]}},
    {"Name": "bridge", "Id": "b", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}},
    {"Name": "host", "Id": "h", "IPAM": {"Config": None}},
]
INTERFACES = [
    {"ifname": f"br-{OWN[:12]}", "addr_info": [{"local": "10.203.17.1", "prefixlen": 24}]},
    {"ifname": "eth0", "addr_info": [{"local": "192.168.5.7", "prefixlen": 24}, {"local": "fd00::2", "prefixlen": 64}]},
]


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "answer", lambda *words: json.dumps(NETWORKS if words[0] == "sh" else INTERFACES))


def test_a_lab_does_not_stand_in_its_own_way() -> None:
    network.check(LabSettings())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"prefix": "other"},
            "lab.subnet: 10.203.17.0/24 overlaps 10.203.17.0/24, which belongs to Docker's network seal",
        ),
        (
            {"subnet": "172.17.3.0/24"},
            "overlaps 172.17.0.0/16, which belongs to Docker's network bridge. Set lab.subnet",
        ),
        ({"subnet": "192.168.0.0/16"}, "overlaps 192.168.5.0/24, which belongs to interface eth0"),
        ({"subnet6": "fd00::/64"}, "lab.subnet6: fd00::/64 overlaps fd00::/64, which belongs to interface eth0"),
    ],
)
def test_a_clash_is_named(given: dict[str, str], says: str) -> None:
    with pytest.raises(LabError) as refused:
        network.check(LabSettings.model_validate(given))
    assert says in str(refused.value)
