"""What a lab may be, and what is said about one that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from components.settings import InvalidConfigurationError, load
from lab.settings import LabSettings


def refusal(**given: Any) -> str:
    with pytest.raises(InvalidConfigurationError) as refused:
        load(LabSettings, given, "lab")
    return str(refused.value)


def test_the_default_is_the_dev_stack() -> None:
    lab = load(LabSettings, {}, "lab")
    assert lab.hosts == ("app1", "app2", "lb1", "worker1", "worker2", "outsider")
    assert lab.container("app1") == "sealed-data-tier-app1"
    assert (lab.address("app1"), lab.address6("app1")) == ("10.203.17.11", "fd5d:7a1e:203:17::b")
    assert lab.names("worker1") == {
        "10.203.17.14": ["worker1.example.com", "worker1"],
        "fd5d:7a1e:203:17::e": ["worker1.ipv6.example.com"],
    }


def test_appending_a_host_moves_no_other() -> None:
    before = load(LabSettings, {}, "lab")
    after = load(LabSettings, {"hosts": [*before.hosts, "db1"]}, "lab")
    assert [after.address(host) for host in before.hosts] == [before.address(host) for host in before.hosts]


def test_a_lab_without_ipv6_names_no_ipv6_address() -> None:
    lab = load(LabSettings, {"subnet6": None}, "lab")
    assert lab.address6("app1") is None
    assert lab.names("app1") == {"10.203.17.11": ["app1.example.com", "app1"]}


def test_an_unknown_key_is_refused_with_those_that_are_known() -> None:
    assert (
        "lab.host: nobody reads this key: use one of cache, cluster, domain, hosts, prefix, subnet, subnet6"
        in refusal(host=["app1"])
    )
    assert "lab.cache.nodePort: nobody reads this key: use one of port, workers" in refusal(cache={"nodePort": 1})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"hosts": ["app1", "app1"], "cache": None}, "hosts app1 are listed twice"),
        ({"hosts": ["app1"]}, "cache.workers worker1, worker2 are not in hosts: add them there, or set cache to null"),
        ({"hosts": [], "cache": None}, "lab.hosts"),
        ({"hosts": ["App 1"]}, "lab.hosts[0]: 'App 1' cannot name a host"),
        ({"hosts": ["cache"]}, "lab.hosts[0]: 'cache' cannot name a host"),
        ({"hosts": ["ready"]}, "lab.hosts[0]: 'ready' cannot name a host"),
        ({"prefix": "-x"}, "lab.prefix: '-x' cannot name a host or a lab"),
        ({"subnet": "8.8.8.0/24"}, "subnet 8.8.8.0/24 is public: use one of 10.0.0.0/8"),
        ({"subnet": "10.0.0.0/28"}, "subnet 10.0.0.0/28 has room for 4 hosts, not 6: widen it"),
        ({"subnet": "10.0.0.1/24"}, "lab.subnet ('10.0.0.1/24')"),
        ({"subnet6": "2001:db8::/64"}, "subnet6 2001:db8::/64 is not unique-local: use a /64 of fd00::/8, or null"),
        ({"cache": {"port": 0}}, "lab.cache.port (0)"),
        ({"domain": "no domain"}, "lab.domain: 'no domain' is no host name"),
    ],
)
def test_what_cannot_be_is_refused_with_the_fix(given: dict[str, Any], says: str) -> None:
    assert says in refusal(**given)
