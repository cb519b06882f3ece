"""What changes while tunnels are in use: keys, workers, ports, addresses; and what must not change."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from lab.machine import LabHost
from tests.integration.tunnels.outage import Client
from tests.integration.tunnels.stack import (
    DIRECT,
    DIRECTORY,
    INSTANCE,
    PORT,
    TUNNELS,
    USER,
    Stack,
    carries,
    changed,
    journal,
    listener,
    property_of,
    wait_for,
)

pytestmark = [pytest.mark.lab, pytest.mark.engine]

FIRST = INSTANCE.format(1, 30378)
SECOND = INSTANCE.format(2, 30380)


def process(host: LabHost, unit: str) -> str:
    """The process that a unit has now; another one after a restart."""
    return property_of(host, unit, "MainPID")


def wait_for_status(host: LabHost, pattern: str) -> None:
    """Wait until app1's tunnel says of itself what it should."""
    ask = f'systemctl show --property StatusText --value {DIRECT} | grep -Eqx "{pattern}"'
    host.run(f"timeout 30 sh -c 'until {ask}; do sleep 0.3; done'")


def without_worker2() -> dict[str, Any]:
    data = deepcopy(dict(TUNNELS))
    del data["clients"][1]["tunnels"][1]
    return data


class TestSilence:
    def test_second_up_changes_nothing_and_opens_no_connection(self, stack: Stack) -> None:
        before = stack.logins()
        assert stack.up(tunnels=TUNNELS).unchanged
        assert stack.logins() == before


class TestKeys:
    def test_rotation_under_load(self, stack: Stack) -> None:
        app, far = stack.host("app1"), stack.host("worker1")
        old = app.run(f"cat {DIRECTORY}/id_ed25519").stdout
        standing = process(app, DIRECT)
        with Client(app, PORT) as anew, Client(app, PORT, lasting=True) as lasting:
            outcome = stack.up(tunnels={**TUNNELS, "keyGeneration": 2})
        assert (anew.failures, lasting.failures) == (0, 0)
        assert min(anew.answers, lasting.answers) > 20
        order = [outcome.text.index(f" {step}") for step in self.steps("worker1", "app1")]
        assert order == sorted(order), "admit the new key, use it, forget the old one"
        assert process(app, DIRECT) == standing, "the standing tunnel is not touched"

        app.run("umask 077; cat >/run/old", stdin=old)
        options = (
            f"-o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile={DIRECTORY}/known_hosts -W 127.0.0.1:{PORT}"
        )
        done = app.run(f"ssh -F none -i /run/old {options} {USER}@{far.address} </dev/null; rm /run/old", check=False)
        assert "Permission denied" in done.stderr, "the old key is refused"

        new = app.run(f"ssh-keygen -lf {DIRECTORY}/id_ed25519").stdout.split()[1]
        before = journal(far, new)
        app.run(f"kill $(pgrep -x ssh -P {standing})")
        wait_for(app, PORT)
        assert journal(far, new) > before, "the next ssh has the new key"

    @staticmethod
    def steps(far: str, near: str) -> tuple[str, str, str]:
        return (
            f"command:remote:Command {far}-{USER}-keys-2 created",
            f"command:remote:Command {near}-{USER}-tunnels updated",
            f"command:remote:Command {far}-{USER}-keys-1 deleted",
        )

    def test_key_that_is_refused_stops_the_change(self, stack: Stack) -> None:
        balancer, far = stack.host("lb1"), stack.host("worker1")
        unit = balancer.run("cat '/etc/systemd/system/cache-service-tunnel-k8s@.service'").stdout
        (keys,) = far.run(f"ls {DIRECTORY}/*.keys").stdout.split()
        far.run(f"mv {keys} {keys}.away")
        try:
            outcome = stack.up(tunnels=changed("probe", "tcp"), check=False)
        finally:
            far.run(f"mv {keys}.away {keys}")
        assert outcome.code != 0
        assert "the far hosts admit this host's key" in outcome.text
        assert "worker1.example.com-30378:" in outcome.text
        assert "Permission denied (publickey)" in outcome.text
        assert balancer.run("cat '/etc/systemd/system/cache-service-tunnel-k8s@.service'").stdout == unit
        for port in (30378, 30380):
            wait_for(balancer, port)


class TestWorkers:
    def test_removed_and_added(self, stack: Stack) -> None:
        balancer, far = stack.host("lb1"), stack.host("worker2")
        standing = process(balancer, FIRST)
        stack.up(tunnels=without_worker2())
        assert carries(balancer, 30378)
        assert property_of(balancer, SECOND, "ActiveState") == "inactive"
        assert balancer.run(["systemctl", "is-enabled", SECOND], check=False).stdout.strip() in {
            "disabled",
            "not-found",
        }
        left = balancer.run(f"find /etc -name '*worker2*'; grep -r {far.address} {DIRECTORY} || :").stdout
        assert left == "", "nothing is left of it"
        assert "cache-service" not in far.run("ls /etc/ssh/sshd_config.d; getent passwd | cut -d: -f1").stdout
        stack.up(tunnels=TUNNELS)
        wait_for(balancer, 30380)
        assert process(balancer, FIRST) == standing, "the other tunnel is not touched"

    def test_dead_one_does_not_block_a_change(self, stack: Stack) -> None:
        balancer, dead = stack.host("lb1"), stack.host("worker2")
        dead.kill()
        try:
            outcome = stack.up(tunnels=changed("probe", "tcp"))
            assert f"lb1-{USER}-tunnels updated" in outcome.text
            assert carries(balancer, 30378)
            assert not carries(balancer, 30380)
            # It waits, and says so; it has not failed.
            assert property_of(balancer, SECOND, "ActiveState") == "active"
            assert "waiting for" in property_of(balancer, SECOND, "StatusText")
        finally:
            dead.start()
        wait_for(balancer, 30380)

    def test_only_one_dead_blocks_it(self, stack: Stack) -> None:
        app, dead = stack.host("app1"), stack.host("worker1")
        before = app.run(f"cat /etc/systemd/system/{DIRECT}").stdout
        dead.kill()
        try:
            outcome = stack.up(tunnels=changed("probe", "tcp"), check=False)
        finally:
            dead.start()
        assert outcome.code != 0
        assert "not healthy within 13 s: the far hosts admit this host's key" in outcome.text
        assert f"ssh: connect to host {dead.address} port 22: " in outcome.text or "timed out" in outcome.text
        assert app.run(f"cat /etc/systemd/system/{DIRECT}").stdout == before
        wait_for(app, PORT)


class TestPorts:
    @pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::"])
    def test_taken_by_another_program(self, stack: Stack, address: str) -> None:
        balancer = stack.host("lb1")
        standing = process(balancer, FIRST), process(balancer, SECOND)
        with listener(balancer, 30390, address):
            outcome = stack.up(tunnels=changed("clients.1.tunnels.1.localPort", 30390), check=False)
        assert outcome.code != 0
        assert "free local ports refused the new configuration" in outcome.text
        assert "localPort 30390 is taken: " in outcome.text
        assert '"python3"' in outcome.text, "its holder is named"
        assert (process(balancer, FIRST), process(balancer, SECOND)) == standing
        assert carries(balancer, 30378)
        assert carries(balancer, 30380)

    def test_changed_and_swapped(self, stack: Stack) -> None:
        balancer = stack.host("lb1")
        swapped = changed("clients.1.tunnels.0.localPort", 30380)
        swapped["clients"][1]["tunnels"][1]["localPort"] = 30378
        stack.up(tunnels=swapped)
        for port in (30378, 30380):
            wait_for(balancer, port)
        units = balancer.run("systemctl list-units --plain --no-legend 'cache-service-tunnel-k8s@*'").stdout
        assert sorted(line.split()[0] for line in units.splitlines()) == sorted(
            [INSTANCE.format(1, 30380), INSTANCE.format(2, 30378)]
        )

    def test_taken_while_the_tunnel_was_away(self, stack: Stack) -> None:
        balancer = stack.host("lb1")
        balancer.run(["systemctl", "stop", FIRST])
        with listener(balancer, 30378):
            balancer.run(["systemctl", "start", "--no-block", FIRST])
            said = "taken by another program"
            balancer.run(f"timeout 50 sh -c 'until systemctl status {FIRST} | grep -q \"{said}\"; do sleep 0.2; done'")
        wait_for(balancer, 30378)


class TestTarget:
    """What is not the tunnel's fault is told and not healed: a new tunnel would only cut those who wait."""

    def test_slow_one_keeps_its_tunnel(self, stack: Stack) -> None:
        app, far = stack.host("app1"), stack.host("worker1")
        wait_for(app, PORT)
        standing = process(app, DIRECT)
        with far.frozen("cache-service.service"):
            wait_for_status(app, "up, but nothing has come back for [5-9] s")
        wait_for_status(app, "up, traffic passes")
        assert process(app, DIRECT) == standing

    def test_missing_one_keeps_its_tunnel(self, stack: Stack) -> None:
        app, far = stack.host("app1"), stack.host("worker1")
        standing = process(app, DIRECT)
        far.run(["systemctl", "stop", "cache-service.socket", "cache-service.service"])
        try:
            wait_for_status(app, "up, but the target hangs up")
        finally:
            far.run(["systemctl", "start", "cache-service.socket"])
        wait_for_status(app, "up, traffic passes")
        assert process(app, DIRECT) == standing

    def test_one_that_never_answers_gets_a_new_tunnel(self, stack: Stack) -> None:
        """Since what hangs may be the tunnel after all."""
        app, far = stack.host("app1"), stack.host("worker1")
        wait_for(app, PORT)
        before = int(property_of(app, DIRECT, "NRestarts"))
        with far.frozen("cache-service.service"):
            app.run(
                f"timeout 55 sh -c 'until [ $(systemctl show -P NRestarts {DIRECT}) -gt {before} ]; do sleep 0.5; done'"
            )
        wait_for(app, PORT)


class TestUnits:
    def test_unit_of_the_distribution_is_not_hidden(self, stack: Stack) -> None:
        outcome = stack.up(tunnels=changed("clients.0.unit", "haproxy"), check=False)
        assert outcome.code != 0
        assert "haproxy.service is a unit of this host: choose another name" in outcome.text
        assert carries(stack.host("app1"), PORT)

    def test_renamed(self, stack: Stack) -> None:
        app = stack.host("app1")
        stack.up(tunnels=changed("clients.0.unit", "renamed"))
        wait_for(app, PORT)
        assert property_of(app, "renamed.service", "ActiveState") == "active"
        assert property_of(app, DIRECT, "LoadState") == "not-found"

    def test_comes_back_with_its_host(self, stack: Stack) -> None:
        app = stack.host("app1")
        app.reboot()
        wait_for(app, PORT)


class TestAddresses:
    def test_far_hosts_own_address(self, stack: Stack) -> None:
        far, balancer = stack.host("worker2"), stack.host("lb1")
        drop_in = "/etc/systemd/system/cache-service.socket.d"
        far.run(f"mkdir {drop_in}; cat >{drop_in}/own.conf", stdin=f"[Socket]\nListenStream={far.address}:{PORT}\n")
        restart = (
            "systemctl daemon-reload; systemctl stop cache-service.service; systemctl restart cache-service.socket"
        )
        far.run(restart)
        try:
            stack.up(tunnels=changed("clients.1.tunnels.1.target", "address"))
            wait_for(balancer, 30380)
            permitted = far.run(f"sed -n 's/ *PermitOpen //p' /etc/ssh/sshd_config.d/50-{USER}.conf").stdout
            assert permitted == f"{far.address}:{PORT}\n"
        finally:
            far.run(f"rm -r {drop_in}; {restart}")

    def test_ipv6_names_and_listeners(self, stack: Stack) -> None:
        balancer = stack.host("lb1")
        stack.up(
            tunnels=changed("clients.1.tunnels.1.localAddress", "::1"),
            hosts={
                "worker2": {"internal_address": "worker2.ipv6.example.com"},
                "lb1": {"source_addresses": [balancer.address, "fd5d:7a1e:203:18::/64"]},
            },
        )
        balancer.run("timeout 20 sh -c 'until valkey-cli -h ::1 -p 30380 PING | grep -q NOAUTH; do sleep 0.1; done'")
        assert not carries(balancer, 30380)
        peers = balancer.run("ss -Htn state established 'dport = :22'").stdout
        assert "[fd5d:7a1e:203:18::" in peers


class TestDelete:
    def test_hosts_are_as_they_were(self, hosts: Stack) -> None:
        hosts.up()
        before = {name: hosts.tree(name) for name in hosts.lab["hosts"]}
        hosts.up(tunnels=TUNNELS)
        assert hosts.tree("lb1") != before["lb1"]
        hosts.up()
        for name, tree in before.items():
            assert hosts.tree(name) == tree
            assert "tunnel" not in hosts.host(name).run("systemctl list-units --all --no-legend '*.service'").stdout
