"""Names, types, parents and inputs of what a set of tunnels registers. How it works is for the integration tests."""

from __future__ import annotations

from collections import Counter

import pytest

from components.firewall import Flow
from components.host.bundle import FORMAT
from components.settings import load
from components.ssh_tunnel_host import SshTunnels, SshTunnelSettings
from tests.unit.ssh_tunnel_host.registered import HOST_KEY, PRIVATE_KEY, STACK, Registered, host, register, revealed
from tests.unit.ssh_tunnel_host.test_tunnel_settings import GOOD

HOSTS = ("app1", "lb1", "worker1", "worker2")
USER = "cache-service-tunnel"


def resources(generation: int = 1) -> dict[str, Registered]:
    def program() -> None:
        settings = load(SshTunnelSettings, {**GOOD, "keyGeneration": generation}, "tunnels")
        tunnels = SshTunnels("cache", settings, {name: host(name) for name in HOSTS})
        assert tunnels.clients["lb1"].local_endpoints == ["127.0.0.1:30378", "127.0.0.1:30380"]
        assert tunnels.clients["lb1"].units == ["tunnel@worker1-30378.service", "tunnel@worker2-30380.service"]

    return register(program)


@pytest.fixture(scope="module")
def registered() -> dict[str, Registered]:
    return resources()


@pytest.mark.parametrize(
    ("name", "kind", "parent"),
    [
        ("cache", "sealed-data-tier:ssh_tunnel_host:SshTunnels", STACK),
        ("cache-app1-key-1", "tls:index/privateKey:PrivateKey", "cache"),
        ("cache-lb1-server", "sealed-data-tier:ssh_tunnel_host:SshTunnelServer", "cache"),
        ("cache-lb1-server-account", "sealed-data-tier:host:Role", "cache-lb1-server"),
        ("cache-lb1-server-keys-1", "sealed-data-tier:host:Role", "cache-lb1-server"),
        ("cache-lb1", "sealed-data-tier:ssh_tunnel_host:SshTunnelHost", "cache"),
        ("cache-lb1-tunnels", "sealed-data-tier:host:Role", "cache-lb1"),
        (f"lb1-{USER}-tunnels", "command:remote:Command", "cache-lb1-tunnels"),
        (f"lb1-{USER}-keys-1", "command:remote:Command", "cache-lb1-server-keys-1"),
        (f"lb1-{USER}-account", "command:remote:Command", "cache-lb1-server-account"),
    ],
)
def test_names_types_and_parents(registered: dict[str, Registered], name: str, kind: str, parent: str) -> None:
    assert (registered[name].kind, registered[name].parent) == (kind, parent)


def test_counts(registered: dict[str, Registered]) -> None:
    kinds = Counter(each.kind.rpartition(":")[2] for each in registered.values())
    assert kinds == {
        "Host": 4,
        "SshTunnels": 1,
        "PrivateKey": 2,
        "SshTunnelServer": 3,
        "SshTunnelHost": 2,
        "Role": 3 * 2 + 2,
        "Command": 4 * 2 + 3 * 2 + 2,  # local farewell and remote runtime of each host, then one a role
    }


def test_keys_are_ed25519_and_their_names_hold_the_generation() -> None:
    second = resources(generation=2)
    assert second["cache-lb1-key-2"].inputs["algorithm"] == "ED25519"
    assert second[f"worker1-{USER}-keys-2"].kind == "command:remote:Command"
    (path,) = second["cache-worker1-server-keys-2"].inputs["files"]
    assert path == f"/etc/ssh/sealed-data-tier/{USER}/generation-2.keys"
    assert set(second) - set(resources()) == {
        *(f"cache-{client}-key-2" for client in ("app1", "lb1")),
        *(f"cache-{server}-server-keys-2" for server in ("lb1", "worker1", "worker2")),
        *(f"{server}-{USER}-keys-2" for server in ("lb1", "worker1", "worker2")),
    }


def test_every_remote_command_is_pinned_and_silent(registered: dict[str, Registered]) -> None:
    remote = [each for each in registered.values() if each.kind == "command:remote:Command"]
    for command in remote:
        assert revealed(command.inputs["connection"])["hostKey"] == HOST_KEY
        assert command.inputs["logging"] == "none"
        assert command.inputs["addPreviousOutputInEnv"] is False
        assert "environment" not in command.inputs
    assert len(remote) == 4 + 3 * 2 + 2


def test_private_keys_are_in_secret_input_only(registered: dict[str, Registered]) -> None:
    for each in registered.values():
        stdin = each.inputs.get("stdin")
        assert PRIVATE_KEY not in repr({key: value for key, value in each.inputs.items() if key != "stdin"})
        if stdin is not None and f"{USER}-" in each.name:
            assert FORMAT in revealed(stdin)
    role = registered["cache-lb1-tunnels"].inputs
    assert role["secretFiles"] == [f"/etc/ssh/sealed-data-tier/{USER}/id_ed25519"]
    assert role["modes"][f"/etc/ssh/sealed-data-tier/{USER}/id_ed25519"] == "0600 root:root"


def test_far_host_admits_its_clients_and_nobody_else(registered: dict[str, Registered]) -> None:
    (keys,) = registered["cache-worker1-server-keys-1"].inputs["files"].values()
    assert keys == (
        'restrict,port-forwarding,permitopen="127.0.0.1:30379",from="192.0.2.1",command="/usr/sbin/nologin" '
        "ssh-ed25519 AAAAkeyOfcache-lb1-key-1 lb1 generation 1\n"
    )


def test_flows_say_who_needs_the_far_hosts_ssh() -> None:
    found: dict[str, tuple[Flow, ...]] = {}

    def program() -> None:
        settings = load(SshTunnelSettings, GOOD, "tunnels")
        found.update(SshTunnels("cache", settings, {name: host(name) for name in HOSTS}).flows)

    register(program)
    said = {name: [(flow.port, flow.purpose) for flow in flows] for name, flows in found.items()}
    assert said == {
        "lb1": [("ssh", "SSH tunnels of app1")],
        "worker1": [("ssh", "SSH tunnels of lb1")],
        "worker2": [("ssh", "SSH tunnels of lb1")],
    }
