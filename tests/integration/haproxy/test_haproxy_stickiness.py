"""A client comes back to its server: by source, across reloads and from one load balancer to the other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from lab.machine import LabHost
from tests.authority import Authority
from tests.integration.haproxy.balancer import HERE, Balancer

pytestmark = pytest.mark.lab

PORT: Final = 8443
SERVERS: Final = {"ccc1": 9001, "ccc2": 9002}


@dataclass(frozen=True)
class Pair:
    """Two load balancers; the servers are beside the first, the client is beside the second."""

    first: Balancer
    second: Balancer

    def settings(self, **stick: Any) -> dict[str, Any]:
        """The CCC guide's load balancer, with the servers of this test."""
        bind = {"address": "*", "port": PORT, "exposedBecause": "the client on the other host"}
        address = self.first.host.address
        servers = [{"name": name, "address": address, "port": port} for name, port in SERVERS.items()]
        return {
            "frontends": [{"name": "https-in", "binds": [bind], "defaultBackend": "app"}],
            "backends": [{"name": "app", "stick": stick, "servers": servers}],
        }

    def peers(self) -> dict[str, Any]:
        """Both, with TLS and with names."""
        return {
            "members": [
                {"name": each.name, "address": each.host.address, "certificateName": f"{each.name}.example.com"}
                for each in (self.first, self.second)
            ]
        }

    @property
    def client(self) -> str:
        """Key of the client in a stick table."""
        return f"key={self.second.host.address} "

    def answers(self, version: str = "TLSv1_3", count: int = 6) -> list[dict[str, Any]]:
        """Connect through the first load balancer."""
        command = f"python3 /root/stage-tls.py ask {self.first.host.address} {PORT} {version} {count}"
        answers: list[dict[str, Any]] = json.loads(self.second.host.run(command).stdout)
        return answers

    def servers(self, version: str = "TLSv1_3", count: int = 6) -> set[str]:
        """The servers that answered."""
        return {answer["server"] for answer in self.answers(version, count)}


@pytest.fixture(scope="module")
def pair(load_balancers: tuple[LabHost, LabHost]) -> Iterator[Pair]:
    """TLS servers on the first host, clients on both."""
    pair = Pair(Balancer(load_balancers[0], "lb1"), Balancer(load_balancers[1], "lb2"))
    for each in (pair.first, pair.second):
        each.install()
        each.host.run("cat >/root/stage-tls.py", stdin=(HERE / "tls.py").read_text())
    pair.first.host.run("umask 077; cat >/root/stage-server.pem", stdin="".join(Authority().issue("server")))
    for name, port in SERVERS.items():
        serve(pair, name, port)
    yield pair
    pair.first.host.run("systemctl stop 'stage-ccc*'")
    pair.first.delete()
    pair.second.delete()


def serve(pair: Pair, name: str, port: int, *options: str) -> None:
    command = f"python3 /root/stage-tls.py serve {port} {name} /root/stage-server.pem {' '.join(options)}"
    pair.first.host.run(f"systemd-run --quiet --collect --unit=stage-{name} {command}")


def eventually(holds: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether something holds soon enough."""
    deadline = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return held


def test_by_source(pair: Pair) -> None:
    pair.first.carry_out(pair.settings())
    assert len(pair.servers()) == 1
    assert pair.client in pair.first.ask("show table app")


def test_a_reloaded_process_takes_the_table_over(pair: Pair) -> None:
    def survives(level: str) -> bool:
        pair.first.carry_out(pair.settings())
        (server,) = pair.servers()
        process = pair.first.process()
        pair.first.carry_out({**pair.settings(), "logLevel": level})
        assert pair.first.process() != process
        known = eventually(lambda: pair.client in pair.first.ask("show table app"), 6)
        return known and pair.servers() == {server}

    # HAProxy gives a transfer up after 5 s, which a starving machine may need more than once.
    assert any(survives(level) for level in ("notice", "warning", "err"))


def test_peers_share_the_table_over_mutual_tls(pair: Pair) -> None:
    issuer = Authority()
    for each in (pair.first, pair.second):
        each.carry_out(
            {**pair.settings(), "peers": pair.peers()},
            peer_certificate="".join(issuer.issue(f"{each.name}.example.com")),
            peer_authority=issuer.certificate,
        )
    assert eventually(lambda: "last_status=ESTA" in pair.first.ask("show peers")), pair.first.ask("show peers")
    pair.first.ask("clear table app")
    pair.second.ask("clear table app")
    (server,) = pair.servers()
    assert eventually(lambda: pair.client in pair.second.ask("show table app")), pair.second.ask("show peers")
    entry = next(line for line in pair.second.ask("show table app").splitlines() if pair.client in line)
    assert f"server_key={server}" in entry
    # Whoever has no certificate of this authority is not let in.
    address = pair.first.host.address
    stranger = f"openssl s_client -connect {address}:10000 -quiet </dev/null 2>&1"
    assert "certificate required" in pair.second.host.run(stranger, check=False).stdout


def test_by_session_id_works_in_tls_1_2_and_cannot_in_1_3(pair: Pair) -> None:
    pair.first.carry_out(pair.settings(by="sslSessionId", size="30k", expire="30m"))
    answers = pair.answers("TLSv1_2")
    assert len({answer["server"] for answer in answers}) == 1
    assert all(answer["resumed"] for answer in answers[1:])
    assert pair.servers("TLSv1_3") == set(SERVERS)


def test_plaintext_gets_nowhere(pair: Pair) -> None:
    pair.first.carry_out(pair.settings())
    passed = pair.first.statistics("app")["BACKEND"]["stot"]
    plain = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | socat -t 3 - TCP:{pair.first.host.address}:{PORT}"
    assert not pair.second.host.run(plain, check=False).stdout
    assert pair.first.statistics("app")["BACKEND"]["stot"] == passed
    assert len(pair.servers()) == 1


def test_the_proxy_protocol_in_and_out(pair: Pair) -> None:
    settings = pair.settings()
    settings["frontends"][0]["binds"] = [{"port": PORT, "acceptProxy": True}]
    settings["backends"][0] |= {"sendProxy": "v2", "servers": [{"name": "ccc3", "port": 9003}]}
    serve(pair, "ccc3", 9003, "proxied")
    pair.first.carry_out(settings)
    command = f"python3 /root/stage-tls.py ask 127.0.0.1 {PORT} TLSv1_3 1 198.51.100.7"
    (answer,) = json.loads(pair.first.host.run(command).stdout)
    assert answer["server"] == "ccc3 198.51.100.7"
    assert "198.51.100.7 " in pair.first.ask("show table app")


def test_the_proxy_protocol_from_declared_senders_only(pair: Pair) -> None:
    settings = pair.settings()
    settings["frontends"][0]["expectProxyFrom"] = [f"{pair.second.host.address}/32"]
    pair.first.carry_out(settings)
    command = f"python3 /root/stage-tls.py ask {pair.first.host.address} {PORT} TLSv1_3 1"
    pair.second.host.run(f"{command} 198.51.100.8")
    assert "198.51.100.8 " in pair.first.ask("show table app")
    assert pair.first.host.run(f"{command} 198.51.100.9", check=False).returncode != 0  # no sender: not TLS
    assert "198.51.100.9 " not in pair.first.ask("show table app")
