"""Which cache services there can be, and what is said about those that cannot, in the user's own terms."""

from __future__ import annotations

from typing import Any

import pytest

from components.cache_service import CacheServiceSettings
from components.settings import InvalidConfigurationError, load
from components.ssh_tunnel_host import Target
from tests.variation import varied

CONNECTIONS: dict[str, Any] = {
    "host": "app1",
    "script": "/opt/HCL/configureCacheService.sh",
    "url": "https://connections.example.com",
    "user": "wasadmin",
    "password": 'Adm1n\'s "word" $HOME',
}
GOOD: dict[str, Any] = {
    "applicationHosts": ["app1", "app2"],
    "loadBalancer": "lb1",
    "workers": [
        {"host": "worker1", "name": "worker1.example.com", "localPort": 30378},
        {"host": "worker2", "localPort": 30380},
    ],
    "connections": CONNECTIONS,
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good settings with one value set; `path` as `varied` takes it."""
    return varied(GOOD, path, value)


def problems(data: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidConfigurationError) as refused:
        load(CacheServiceSettings, data, "cacheService")
    return refused.value.problems


def test_parts_of_a_good_one() -> None:
    settings = load(CacheServiceSettings, GOOD, "cacheService")
    app1, app2, balancer = settings.tunnels().clients
    assert [app1.unit, app2.unit] == ["cache-service-tunnel-websphere"] * 2
    assert [balancer.unit_of(each) for each in balancer.tunnels] == [
        "cache-service-tunnel-k8s@worker1.example.com-30378.service",
        "cache-service-tunnel-k8s@worker2-30380.service",
    ]
    assert {each.target for each in balancer.tunnels} == {Target.LOOPBACK}
    haproxy = settings.haproxy()
    assert haproxy.frontends[0].binds[0].endpoint == "127.0.0.1:30379"
    assert [(server.name, server.endpoint) for server in haproxy.backends[0].servers] == [
        ("worker1.example.com", "127.0.0.1:30378"),
        ("worker2", "127.0.0.1:30380"),
    ]


REFUSED: dict[str, tuple[str, Any, str]] = {
    # what is wrong: what is set, to what, how the one problem reads
    "a port twice": (
        "workers.1.localPort",
        30378,
        "workers[1].localPort: 30378 is taken by workers[0].localPort: give each its own",
    ),
    "HAProxy's port": (
        "workers.1.localPort",
        30379,
        "workers[1].localPort: 30379 is taken by port, where HAProxy listens: give each its own",
    ),
    "a privileged port": ("workers.1.localPort", 379, "workers[1].localPort: 379 is a privileged port"),
    "a privileged port of HAProxy's": ("port", 379, "port: 379 is a privileged port"),
    "a balancer that is a worker": (
        "workers.0.host",
        "lb1",
        "workers[0].host: 'lb1' is the load balancer too: a tunnel needs two hosts",
    ),
    "a balancer that is an application host": (
        "applicationHosts.0",
        "lb1",
        "applicationHosts[0]: 'lb1' is the load balancer too: a tunnel needs two hosts",
    ),
    "an application host twice": (
        "applicationHosts.1",
        "app1",
        "applicationHosts[1]: 'app1' is applicationHosts[0] too: remove one",
    ),
    "an application host with the NodePort": (
        "applicationHosts.1",
        "worker2",
        "port: 30379 is the NodePort of 'worker2', which is an application host too: choose another port",
    ),
    "a worker twice": (
        "workers.1",
        {"host": "worker1", "localPort": 30380},
        "workers[1].host: 'worker1' is workers[0].host too: remove one",
    ),
    "another node that is a worker": (
        "otherNodes",
        ["worker2"],
        "otherNodes[0]: 'worker2' is workers[1].host too: remove one",
    ),
    "another node twice": (
        "otherNodes",
        ["control", "control"],
        "otherNodes[1]: 'control' is listed twice: remove one",
    ),
    "another node with HAProxy": (
        "otherNodes",
        ["lb1"],
        "port: 30379 is the NodePort of 'lb1', which is the load balancer too: choose another port",
    ),
    "another node with an application": (
        "otherNodes",
        ["app1"],
        "port: 30379 is the NodePort of 'app1', which is an application host too: choose another port",
    ),
    "a name twice": (
        "workers.1.name",
        "worker1.example.com",
        "workers[1].name: 'worker1.example.com' is the name of workers[0] too: give each its own",
    ),
    "a name that is none": ("workers.1.name", "worker_2", "workers[1].name: 'worker_2' is no host name"),
    "a worker that no unit can be named after": (
        "workers.1.host",
        "worker 2",
        "workers[1].host: 'worker 2' cannot stand in a unit's name",
    ),
    "a unit for two workers": (
        "workerUnit",
        "cache-service-tunnel-k8s",
        "workerUnit: 'cache-service-tunnel-k8s' can run one tunnel: end it with '@'",
    ),
    "a unit that is none": ("applicationUnit", "a b", "applicationUnit: 'a b' is no unit name"),
    "a unit too long": ("applicationUnit", "u" * 250, "applicationUnit: "),
    "no stickiness on loopback": (
        "balance",
        "source",
        "balance: its frontends listen on loopback and see one client only",
    ),
    "slower when it matters": (
        "defaultServer.fastinter",
        "1h",
        "defaultServer.fastinter: '1h' is longer than inter",
    ),
    "root": ("user", "root", "user: 'root' would be shut out"),
    "no worker": ("workers", [], "workers: is empty: list at least one"),
    "no application": ("applicationHosts", [], "applicationHosts: is empty: list at least one"),
    "a key that nobody reads": (
        "workers.0.port",
        1,
        "workers[0].port: nobody reads this key: use one of host, localPort, name, target",
    ),
    "plain HTTP": ("connections.url", "http://c.example.com", "connections.url: this is no address of a deployment"),
    "a user in the URL": ("connections.url", "https://u:p@c", "connections.url: this is no address of a deployment"),
    "a relative script": ("connections.script", "a.sh", "connections.script: 'a.sh' is no path of a script"),
    "a user that is none": ("connections.user", "a b", "connections.user: 'a b' is no user name"),
    "no time": ("connections.timeout", 0, "connections.timeout (0): "),
}


@pytest.mark.parametrize(("path", "value", "words"), REFUSED.values(), ids=REFUSED)
def test_refusal(path: str, value: Any, words: str) -> None:
    (problem,) = problems(changed(path, value))
    assert problem.startswith(f"cacheService.{words}")


@pytest.mark.parametrize("path", ["password", "connections.password"])
@pytest.mark.parametrize("secret", ["", "hunter2\nPONG", "hunter2\r", "hunter2\0"])
def test_passwords_are_of_one_line_and_never_shown(path: str, secret: str) -> None:
    (problem,) = problems(changed(path, secret))
    assert problem.startswith(f"cacheService.{path}: is empty, or holds a line break")
    assert "hunter2" not in problem


def test_nothing_secret_is_shown_beside_another_problem() -> None:
    data = changed("workers.0.localPort", "many")
    data["password"] = "hunter2"
    told = "\n".join(problems(data))
    assert "hunter2" not in told
    assert CONNECTIONS["password"] not in told


def test_every_problem_is_told_at_once() -> None:
    data = changed("workers.1", {"host": "lb1", "localPort": 30378})
    data["applicationHosts"] = ["lb1", "app1"]
    assert [line.partition(": ")[0] for line in problems(data)] == [
        "cacheService.applicationHosts[0]",
        "cacheService.workers[1].host",
        "cacheService.workers[1].localPort",
    ]


def test_hosts_that_the_stack_does_not_have() -> None:
    settings = load(CacheServiceSettings, {**GOOD, "otherNodes": ["control"]}, "cacheService")
    with pytest.raises(InvalidConfigurationError) as refused:
        settings.refuse_unknown_hosts(["app2", "lb1", "worker2"], "cacheService")
    assert refused.value.problems == [
        f"cacheService.{path}: '{name}' is no host of this stack: use one of app2, lb1, worker2"
        for path, name in (
            ("applicationHosts[0]", "app1"),
            ("workers[0].host", "worker1"),
            ("otherNodes[0]", "control"),
            ("connections.host", "app1"),
        )
    ]
