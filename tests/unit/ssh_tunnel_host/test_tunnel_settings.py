"""Which tunnels there can be, and what is said about those that cannot."""

from __future__ import annotations

from typing import Any

import pytest

from components.settings import InvalidConfigurationError, load
from components.ssh_tunnel_host import SshTunnels, SshTunnelSettings
from tests.unit.ssh_tunnel_host.registered import host, register
from tests.variation import varied

GOOD: dict[str, Any] = {
    "clients": [
        {
            "host": "app1",
            "unit": "tunnel-app",
            "tunnels": [{"server": "lb1", "localPort": 30379, "targetPort": 30379}],
        },
        {
            "host": "lb1",
            "unit": "tunnel@",
            "tunnels": [
                {"server": "worker1", "localPort": 30378, "targetPort": 30379},
                {"server": "worker2", "localPort": 30380, "targetPort": 30379},
            ],
        },
    ]
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The good settings with one value set; `path` as `varied` takes it."""
    return varied(GOOD, path, value)


def problems(data: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidConfigurationError) as refused:
        load(SshTunnelSettings, data, "tunnels")
    return refused.value.problems


def test_the_good_ones_are_good() -> None:
    settings = load(SshTunnelSettings, GOOD, "tunnels")
    app, balancer = settings.clients
    assert [app.unit_of(each) for each in app.tunnels] == ["tunnel-app.service"]
    assert [balancer.unit_of(each) for each in balancer.tunnels] == [
        "tunnel@worker1-30378.service",
        "tunnel@worker2-30380.service",
    ]
    assert settings.user == "cache-service-tunnel"


REFUSED: dict[str, tuple[str, Any, str]] = {
    # what is wrong: what is set, to what, how the one problem reads
    "a port twice": (
        "clients.1.tunnels.1.localPort",
        30378,
        "clients[1].tunnels[1].localPort: 30378 is taken by tunnels[0].localPort: give each its own",
    ),
    "a privileged port": (
        "clients.0.tunnels.0.localPort",
        80,
        "clients[0].tunnels[0].localPort: 80 is a privileged port, and tunnels run without privileges: use 1024",
    ),
    "no port": ("clients.0.tunnels.0.localPort", 65536, "clients[0].tunnels[0].localPort (65536): "),
    "no target": ("clients.0.tunnels.0.targetPort", 0, "clients[0].tunnels[0].targetPort (0): "),
    "itself": (
        "clients.0.tunnels.0.server",
        "app1",
        "clients[0].tunnels[0].server: 'app1' is both ends: a tunnel leads to another host",
    ),
    "a host twice": (
        "clients.1.host",
        "app1",
        "clients[1].host: 'app1' is listed twice: put all its tunnels into one entry",
    ),
    "a server that no unit can be named after": (
        "clients.0.tunnels.0.server",
        "lb 1",
        "clients[0].tunnels[0].server: 'lb 1' cannot stand in a unit's name: use letters, digits",
    ),
    "a name that is none": (
        "clients.0.tunnels.0.name",
        "lb_1",
        "clients[0].tunnels[0].name: 'lb_1' is no host name: give a DNS name",
    ),
    "one alias for two": (
        "clients.1.tunnels.1",
        {"server": "worker1", "localPort": 30378, "targetPort": 30379, "localAddress": "::1"},
        "clients[1].tunnels[1].name: 'worker1-30378' names tunnels[0] too: give one of them another name or port",
    ),
    "a unit for two tunnels": (
        "clients.1.unit",
        "tunnel",
        "clients[1].unit: 'tunnel' can run one tunnel: end it with '@' to have an instance a tunnel",
    ),
    "a unit with its suffix": ("clients.0.unit", "tunnel.service", "clients[0].unit: 'tunnel.service' is no unit name"),
    "a unit with a path": ("clients.0.unit", "../ssh", "clients[0].unit: '../ssh' is no unit name"),
    "a unit of two lines": ("clients.0.unit", "tunnel\n", "clients[0].unit: 'tunnel\\n' is no unit name"),
    "a unit too long": ("clients.0.unit", "u" * 250, "clients[0].unit: "),
    "a listener for everyone": (
        "clients.0.tunnels.0.localAddress",
        "0.0.0.0",
        "clients[0].tunnels[0].localAddress: '0.0.0.0' is no loopback address: use '127.0.0.1' or '::1'",
    ),
    "an address that is none": (
        "clients.0.tunnels.0.localAddress",
        "127.0.0.300",
        "clients[0].tunnels[0].localAddress: '127.0.0.300' is no loopback address",
    ),
    "root": ("user", "root", "user: 'root' would be shut out of the far hosts: name an account that does nothing else"),
    "no account": ("user", "Tunnel", "user: 'Tunnel' is no account name"),
    "no generation": ("keyGeneration", 0, "keyGeneration (0): "),
    "no client": ("clients", [], "clients: "),
    "no tunnel": ("clients.0.tunnels", [], "clients[0].tunnels: "),
    "another target": ("clients.0.tunnels.0.target", "remote", "clients[0].tunnels[0].target ('remote'): "),
    "another probe": ("probe", "http", "probe ('http'): "),
    "a long delay": ("timing.restartDelay", "30s", "timing.restartDelay: '30s' is no short delay: give 1ms"),
    "no patience": ("timing.serverAliveInterval", 0, "timing.serverAliveInterval (0): "),
    "a key that nobody reads": (
        "clients.0.tunnels.0.remotePort",
        30379,
        "clients[0].tunnels[0].remotePort: nobody reads this key: use one of localAddress, localPort, name, server,",
    ),
}


@pytest.mark.parametrize(("path", "value", "words"), REFUSED.values(), ids=REFUSED)
def test_refusal(path: str, value: Any, words: str) -> None:
    (problem,) = problems(changed(path, value))
    assert problem.startswith(f"tunnels.{words}")


def test_every_problem_is_told_at_once() -> None:
    data = changed("clients.1.tunnels.1.localPort", 30378)
    data["clients"][1]["tunnels"][0]["server"] = "lb1"
    data["clients"][0]["unit"] = "a b"
    assert [line.partition(":")[0] for line in problems(data)] == [
        "tunnels.clients[0].unit",
        "tunnels.clients[1].tunnels[0].server",
        "tunnels.clients[1].tunnels[1].localPort",
    ]


class TestHosts:
    """What is refused once the stack's hosts are known."""

    @staticmethod
    def told(user: str = "cache-service-tunnel", **hosts: dict[str, Any]) -> list[str]:
        settings = load(SshTunnelSettings, {**GOOD, "user": user}, "tunnels")
        with pytest.raises(InvalidConfigurationError) as refused:
            register(lambda: void(SshTunnels("t", settings, {name: host(name, **hosts[name]) for name in hosts})))
        return refused.value.problems

    def test_unknown_ones(self) -> None:
        assert self.told(app1={}, worker2={}) == [
            "clients[0].tunnels[0].server: 'lb1' is no host of this stack: use one of app1, worker2",
            "clients[1].host: 'lb1' is no host of this stack: use one of app1, worker2",
            "clients[1].tunnels[0].server: 'worker1' is no host of this stack: use one of app1, worker2",
        ]

    def test_a_client_whose_address_nobody_knows(self) -> None:
        (problem,) = self.told(app1={"address": "app1.example.com"}, lb1={}, worker1={}, worker2={})
        assert problem.startswith("hosts.app1.sourceAddresses: tunnels start here, and a DNS name is no source address")

    def test_the_account_that_the_stack_itself_uses(self) -> None:
        (problem,) = self.told(
            user="ops", app1={}, lb1={"user": "ops"}, worker1={"user": "root"}, worker2={"user": "root"}
        )
        assert problem == "user: 'ops' is how this stack logs in to lb1, and would be shut out there: name another"


def void(_: object) -> None:
    """Drop a result."""
