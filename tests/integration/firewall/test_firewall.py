"""Who gets through and who does not, on a real host."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.integration.firewall.conftest import (
    ADDRESS,
    ADDRESS6,
    CLOSED,
    DEPLOYER,
    FLOW,
    OTHER,
    TRANSLATED,
    Stage,
)
from tests.integration.support import difference
from tests.integration.verification.verdict import verify

pytestmark = [pytest.mark.lab, pytest.mark.engine]

BOTH = pytest.mark.parametrize(
    ("address", "source"), [(ADDRESS, "outsider"), (ADDRESS6, "outsider6")], ids=["IPv4", "IPv6"]
)
EVERYTHING = [
    {"port": CLOSED, "sources": ["outsider", "outsider6", "192.0.2.0/25", "192.0.2.128/25"], "purpose": "a: 'b'"},
    {"port": OTHER, "sources": "any", "purpose": "all"},
    {"port": OTHER, "sources": ["192.0.2.1"], "protocol": "udp", "purpose": "datagrams"},
    {"port": "ssh", "sources": ["outsider"], "purpose": "tunnels"},
    {"protocol": "vrrp", "sources": ["outsider", "outsider6"], "purpose": "adverts"},
]
DENY = {"mode": "deny"}
# As Docker and kube-proxy publish a port: translated on its way in, and forwarded to another network namespace.
POD, POD_PORT = "172.31.9.2", 80
PUBLISH = f"""
set -eu
sysctl -qw net.ipv4.ip_forward=1
ip netns add pod
ip link add pod0 type veth peer name eth0 netns pod
ip address add 172.31.9.1/24 dev pod0
ip link set pod0 up
ip -n pod address add {POD}/24 dev eth0
ip -n pod link set eth0 up
ip -n pod link set lo up
ip -n pod route add default via 172.31.9.1
systemd-run --unit=pod ip netns exec pod python3 /run/listener.py {POD_PORT}
nft -f - <<'NFT'
table ip docker_like {{
    chain prerouting {{
        type nat hook prerouting priority dstnat;
        tcp dport {{ {TRANSLATED}, {TRANSLATED + 1} }} fib daddr type local dnat to {POD}:{POD_PORT}
    }}
}}
NFT
ip netns exec pod timeout 50 sh -c 'until ss -Hltn | grep -q .; do sleep 0.1; done'
"""
UNPUBLISH = "systemctl stop pod; nft delete table ip docker_like; ip link delete pod0; ip netns delete pod"


THEIRS = """
table inet theirs {
    chain input { type filter hook input priority filter; counter accept; }
}
"""


class TestGuard:
    @BOTH
    @pytest.mark.parametrize("kind", ["tcp", "udp"])
    def test_a_declared_port_is_for_its_sources_only(self, stage: Stage, address: str, source: str, kind: str) -> None:
        stage.up({"flows": [{**FLOW, "protocol": kind}]})
        assert stage.answer(CLOSED, address, kind=kind) == "silent"
        assert stage.answer(OTHER, address, kind=kind) == "open", "was not declared"
        assert stage.answer(22, address) == "open"
        stage.up({"flows": [{**FLOW, "protocol": kind}, {**FLOW, "sources": [source], "protocol": kind}]})
        assert stage.answer(CLOSED, address, kind=kind) == "open", "flows to one port add up"

    def test_the_host_itself_passes(self, stage: Stage) -> None:
        for own in (ADDRESS, ADDRESS6, "127.0.0.1", "::1"):
            assert stage.answer(CLOSED, own, source=stage.host) == "open"

    def test_any_is_everybody(self, stage: Stage) -> None:
        stage.up({"flows": [{**FLOW, "sources": "any"}]})
        assert stage.answer(CLOSED) == stage.answer(CLOSED, ADDRESS6) == "open"

    @BOTH
    @pytest.mark.parametrize("mode", ["guard", "deny"])
    def test_vrrp_is_for_its_peers_only(self, stage: Stage, address: str, source: str, mode: str) -> None:
        vrrp = {"protocol": "vrrp", "sources": ["192.0.2.1"], "purpose": "a peer"}
        stage.up({"flows": [vrrp], "settings": {"mode": mode}})
        assert not stage.takes_vrrp(address)
        stage.up({"flows": [vrrp, {**vrrp, "sources": [source]}], "settings": {"mode": mode}})
        assert stage.takes_vrrp(address)

    @pytest.mark.parametrize("address", [ADDRESS, ADDRESS6], ids=["IPv4", "IPv6"])
    def test_reject_answers_at_once(self, stage: Stage, address: str) -> None:
        flows = [FLOW, {**FLOW, "protocol": "udp"}]
        stage.up({"flows": flows, "settings": {"refusal": "reject"}})
        assert stage.answer(CLOSED, address) == stage.answer(CLOSED, address, kind="udp") == "refused"

    def test_a_standing_connection_stays(self, stage: Stage) -> None:
        stage.up({"flows": [{**FLOW, "sources": ["outsider"]}]})
        hold = (
            f"exec 3<>/dev/tcp/{ADDRESS}/{CLOSED}; read -r -u 3 _; touch /run/stands\n"
            "until [ -e /run/go ]; do sleep 0.1; done\n"
            "echo still >&3; read -r -t 5 -u 3 line; [ $line = still ] && touch /run/passed"
        )
        stage.outsider.run("rm -f /run/stands /run/go /run/passed")
        stage.outsider.run(["systemd-run", "--unit=hold", "--collect", "bash", "-c", hold])
        stage.outsider.run("timeout 50 sh -c 'until [ -e /run/stands ]; do sleep 0.1; done'")
        stage.up()
        assert stage.answer(CLOSED) == "silent"
        stage.outsider.run("touch /run/go")
        stage.outsider.run("timeout 50 sh -c 'until [ -e /run/passed ]; do sleep 0.1; done'")

    def test_a_port_that_is_translated_for_a_container_is_closed_too(self, stage: Stage) -> None:
        stage.host.run(PUBLISH)
        stage.outsider.run(f"ip route replace {POD}/32 via {ADDRESS}")
        try:
            assert stage.answer(TRANSLATED) == "open"
            stage.up({"flows": [FLOW, {**FLOW, "port": TRANSLATED}, {**FLOW, "port": POD_PORT, "purpose": "ours"}]})
            assert stage.answer(TRANSLATED) == "silent"
            assert stage.answer(TRANSLATED + 1) == "open", "was not declared, though its target's number is closed here"
            assert stage.answer(POD_PORT, POD) == "open", "what only passes through is not the host's"
            stage.up({"flows": [FLOW, {**FLOW, "port": TRANSLATED, "sources": ["outsider"]}]})
            assert stage.answer(TRANSLATED) == "open"
        finally:
            stage.outsider.run(f"ip route delete {POD}/32")
            stage.host.run(UNPUBLISH)


class TestDeny:
    @BOTH
    def test_what_is_not_declared_is_closed(self, stage: Stage, address: str, source: str) -> None:
        stage.up({"flows": [{**FLOW, "sources": [source]}], "settings": DENY})
        assert stage.answer(OTHER, address) == stage.answer(OTHER, address, kind="udp") == "silent"
        assert stage.answer(CLOSED, address) == "open"
        assert stage.answer(22, address) == "open"
        assert stage.answer(OTHER, address, source=stage.host) == "open", "the host itself"

    @pytest.mark.parametrize("address", [ADDRESS, ADDRESS6], ids=["IPv4", "IPv6"])
    def test_ping_and_neighbours(self, stage: Stage, address: str) -> None:
        stage.up({"settings": DENY})
        stage.outsider.run("ip neighbour flush all; ip -6 neighbour flush all")
        stage.outsider.run(["ping", "-c", "1", "-W", "5", address])

    def test_reject(self, stage: Stage) -> None:
        stage.up({"settings": {**DENY, "refusal": "reject"}})
        assert stage.answer(OTHER) == stage.answer(OTHER, ADDRESS6) == stage.answer(OTHER, kind="udp") == "refused"

    def test_ssh_for_a_few(self, stage: Stage) -> None:
        settings = {**DENY, "sshSources": [DEPLOYER]}
        stage.up({"settings": settings})
        assert stage.answer(22) == stage.answer(22, ADDRESS6) == "silent"
        stage.up({"settings": settings, "flows": [{"port": "ssh", "sources": ["outsider"], "purpose": "tunnels"}]})
        assert stage.answer(22) == "open", "a flow to SSH"
        assert stage.answer(22, ADDRESS6) == "silent"


class TestBesideOthers:
    def test_other_tables_are_as_they_were(self, stage: Stage) -> None:
        stage.up({"firewall": False})
        stage.host.run("nft -f -", stdin=THEIRS)
        try:
            before = stage.other_tables()
            assert before
            stage.up()
            assert stage.table()
            stage.up({"settings": {"mode": "deny"}})
            assert stage.other_tables() == before
            stage.up({"firewall": False})
            assert stage.table() == ""
            assert stage.other_tables() == before
        finally:
            stage.host.run("nft delete table inet theirs")

    @pytest.mark.parametrize("verb", ["restart", "reload", "stop"])
    def test_it_comes_back_when_all_tables_are_removed(self, stage: Stage, verb: str) -> None:
        stage.host.run("systemctl start nftables")
        try:
            before = stage.table()
            assert before
            stage.host.run(f"systemctl {verb} nftables")
            assert stage.table() == before
            assert stage.answer(CLOSED) == "silent"
        finally:
            stage.host.run("systemctl stop nftables")

    def test_stopped_on_purpose_it_stays_away(self, stage: Stage) -> None:
        stage.host.run("systemctl stop sealed-data-tier-firewall; systemctl restart nftables")
        try:
            assert stage.table() == ""
        finally:
            stage.host.run("systemctl stop nftables; systemctl start sealed-data-tier-firewall")
        assert stage.answer(CLOSED) == "silent"


class TestConvergence:
    def test_second_up_changes_nothing(self, stage: Stage) -> None:
        logins = stage.logins()
        assert stage.up().unchanged
        assert stage.logins() == logins

    def test_rules_are_confirmed_by_one_connection_more(self, stage: Stage) -> None:
        logins = stage.logins()
        stage.up({"flows": [{**FLOW, "sources": ["192.0.2.1"]}]})
        assert stage.logins() == logins + 2
        assert not stage.on_trial()
        said = stage.host.run("journalctl -t sealed-data-tier-firewall -o cat --no-pager | tail -n 1").stdout
        assert said.startswith("confirmed "), said

    def test_changed_lines_are_shown_as_lines(self, stage: Stage) -> None:
        more = {**FLOW, "sources": ["192.0.2.1"], "purpose": "one more"}
        stage.project.configure(stage.configuration({"flows": [more]}))
        preview = stage.project.pulumi("preview", "--diff").text
        assert f'tcp dport {CLOSED} ip saddr {{ 192.0.2.1 }} accept comment "one more"' in preview

    def test_a_reboot_brings_the_rules_back(self, stage: Stage) -> None:
        before = stage.table()
        stage.host.reboot()
        stage.serve()
        assert stage.table() == before
        assert stage.answer(CLOSED) == stage.answer(CLOSED, ADDRESS6) == "silent"
        assert stage.up().unchanged
        stage.up({"settings": {"mode": "deny"}})
        assert stage.answer(OTHER) == "silent"

    def test_with_a_sudo_password(self, stage: Stage) -> None:
        stage.up({"user": "opspw", "sudoPassword": True, "flows": [{**FLOW, "purpose": "with a password"}]})
        assert not stage.on_trial()


class TestVerification:
    """`make verify` looks at the kernel's rules."""

    def test_rules_as_written_are_well(self, stage: Stage, tmp_path: Path) -> None:
        found = verify(stage.project, tmp_path / "report.json")
        assert found.wrong == set()
        assert ("firewall", "guarded") in {(check["name"], check["host"]) for check in found.checks}
        stage.up({"settings": {"mode": "deny", "refusal": "reject"}, "flows": EVERYTHING})
        assert verify(stage.project, tmp_path / "report.json").wrong == set()

    @pytest.mark.parametrize(
        ("fault", "found"),
        [
            (
                f"add rule inet sealed_data_tier declared tcp dport {CLOSED} accept",
                f"the kernel has 'tcp dport {CLOSED} accept'",
            ),
            ("flush chain inet sealed_data_tier guard", "the kernel lacks 'jump declared'"),
            ("delete table inet sealed_data_tier", "the kernel lacks 'the whole table'"),
        ],
        ids=["a rule more", "a chain without rules", "no table"],
    )
    def test_rules_by_hand_are_found(self, stage: Stage, tmp_path: Path, fault: str, found: str) -> None:
        stage.host.run(f"nft {fault}")
        try:
            assert found in verify(stage.project, tmp_path / "report.json").problems("firewall", "guarded")
        finally:
            stage.host.run("systemctl reload sealed-data-tier-firewall")
        assert verify(stage.project, tmp_path / "report.json").wrong == set()


class TestDelete:
    def test_restores_the_host(self, bare: Stage) -> None:
        bare.up({"firewall": False})
        before = bare.tree()
        bare.up()
        bare.up({"settings": {"mode": "deny"}})
        bare.up({"firewall": False})
        assert bare.table() == ""
        assert difference(before, bare.tree()) == ""

    def test_the_package_goes_if_it_came_with_it(self, bare: Stage) -> None:
        bare.up({"host": False})
        bare.host.run("apt-get -qq update; apt-get -qq -y purge nftables", timeout=120)
        before = bare.tree()
        bare.up()
        assert bare.table()
        bare.up({"host": False})
        time.sleep(1)
        assert bare.host.run("command -v nft", check=False).stdout == ""
        assert difference(before, bare.tree()) == ""
        bare.host.run("apt-get -qq -y install nftables", timeout=120)
