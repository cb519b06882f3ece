"""What the engine is told: types, names, order, inputs, and that no secret is among them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from components.certificates import CertificateAuthority
from components.errors import ConfigurationError
from components.host import Family
from components.keepalived_vip import KeepalivedVip
from components.postgres_ha_pair import PostgresHaPair, PostgresHaPairArgs, PostgresHaSettings
from components.settings import InvalidConfigurationError, load
from tests.unit.ssh_tunnel_host.registered import PRIVATE_KEY, Registered, host, register, revealed

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "postgres"
ADDRESSES: Final = {"db1": "192.0.2.11", "db2": "192.0.2.12", "lb1": "192.0.2.20"}


def arguments(data: dict[str, Any], **more: Any) -> PostgresHaPairArgs:
    settings = load(PostgresHaSettings, data, "postgres")
    hosts = {each: host(each, address=address) for each, address in ADDRESSES.items()} | more
    return PostgresHaPairArgs(settings=settings, hosts=hosts, authority=CertificateAuthority("root"))


def golden(name: str, **more: Any) -> dict[str, Any]:
    return dict(yaml.safe_load((GOLDEN / f"{name}.yaml").read_text()) | more)


def registered(name: str, **more: Any) -> dict[str, Registered]:
    def program() -> None:
        PostgresHaPair("ccc", arguments(golden(name, **more)))

    return register(program)


def test_types_and_names_stay() -> None:
    found = registered("ccc")
    components = {name: each.kind for name, each in found.items() if each.kind.startswith("sealed-data-tier:")}
    certificate, role = "sealed-data-tier:certificates:Certificate", "sealed-data-tier:host:Role"
    own = {name: kind for name, kind in components.items() if name.startswith("ccc")}
    assert own == {
        "ccc": "sealed-data-tier:postgres_ha_pair:PostgresHaPair",
        "ccc-passwords": "sealed-data-tier:passwords:Passwords",
        **dict.fromkeys(("ccc-administrator", "ccc-patroni", "ccc-client"), certificate),
        **dict.fromkeys(("ccc-db1", "ccc-db2", "ccc-lb1"), certificate),
        **dict.fromkeys(("ccc-lb1-etcd", "ccc-db2-etcd", "ccc-db1-etcd"), role),
        "ccc-vip": "sealed-data-tier:keepalived_vip:KeepalivedVip",
        **dict.fromkeys(("ccc-vip-db1-keepalived", "ccc-vip-db2-keepalived"), role),
        **dict.fromkeys(("ccc-db1-packages", "ccc-db2-packages", "ccc-db1-postgres", "ccc-db2-postgres"), role),
    }
    assert {"db1-ccc-etcd-access", "db1-ccc-settle", "db2-ccc-settle"} <= set(found)


def test_the_witness_has_no_data() -> None:
    found = registered("ccc")
    assert "lb1-postgres" not in found
    assert found["ccc-db1-etcd"].inputs["units"] == ["etcd.service"]
    assert found["ccc-lb1-etcd"].inputs["units"] == ["etcd.service", "patroni-etcd-leader.service"]
    assert found["ccc-db1-postgres"].inputs["units"] == ["patroni.service"]


def test_certificates_are_for_what_is_dialled() -> None:
    found = registered("ccc")
    request = found["ccc-db1-1-request"].inputs
    assert request["ipAddresses"] == ["192.0.2.11", "192.0.2.10"]
    assert request["dnsNames"] == ["db1.example.com", "db.example.com"]
    assert {found[f"ccc-{each}-1-request"].inputs["subject"]["commonName"] for each in ADDRESSES} == {"ccc member"}
    # etcd's gateway refuses any other one.
    assert not found["ccc-patroni-1-request"].inputs["subject"].get("commonName")


def test_the_witness_keeps_the_repository() -> None:
    found = registered("backup")
    witness = found["ccc-lb1-backup"]
    assert witness.inputs["units"] == [
        "pgbackrest.service",
        "postgres-backup-full.timer",
        "postgres-backup-differential.timer",
    ]
    assert set(witness.inputs["secretFiles"]) == {"/etc/pgbackrest/conf.d/secrets.conf", "/etc/pgbackrest/tls/node.key"}
    assert found["ccc-db1-postgres"].inputs["units"] == ["pgbackrest.service", "patroni.service"]
    told = json.dumps({name: _open(each.inputs) for name, each in found.items()})
    assert not any(each in told for each in ("only-for-this-test", "AKIDEXAMPLE"))


def test_no_secret_is_told_in_the_open() -> None:
    data = golden("ccc")
    data["databases"][0]["password"] = "correct-horse"
    found = registered("ccc", databases=data["databases"])
    told = json.dumps({name: _open(each.inputs) for name, each in found.items()})
    assert "correct-horse" not in told
    assert PRIVATE_KEY not in told
    assert set(found["ccc-db1-postgres"].inputs["secretFiles"]) == {
        "/usr/local/lib/postgres-pair/accounts.sql",
        "/etc/postgres-pair/patroni.d/20-passwords.yml",
        "/etc/postgres-pair/tls/node.key",
        "/etc/postgres-pair/tls/etcd.key",
    }
    assert set(found["ccc-lb1-etcd"].inputs["secretFiles"]) == {
        "/etc/etcd/tls/node.key",
        "/etc/etcd/tls/administrator.key",
    }
    access = revealed(found["db1-ccc-etcd-access"].inputs["stdin"])
    assert access.count("login patroni") == 2
    # It is told anew when machines are.
    assert access.splitlines()[-1].startswith("incarnations")


def _open(value: Any) -> Any:
    """A value without its secrets."""
    if isinstance(value, dict):
        is_secret = "4dabf18193072939515e22adb298388d" in value
        return "[secret]" if is_secret else {key: _open(each) for key, each in value.items()}
    return [_open(each) for each in value] if isinstance(value, list) else value


def test_flows_are_for_who_needs_them() -> None:
    flows: dict[str, dict[Any, Any]] = {}

    def program() -> None:
        args = arguments(golden("ccc"))
        for name in args.members:
            flows[name] = {flow.port or flow.protocol.value: list(flow.sources) for flow in args.flows(name)}

    register(program)
    assert set(flows["lb1"]) == {2379, 2380}
    assert set(flows["db1"]) == {2379, 2380, 5432, 8008, "vrrp"}
    assert flows["db1"]["vrrp"] == ["192.0.2.12"]
    assert flows["db1"][5432] == ["192.0.2.21", "192.0.2.22", "198.51.100.0/24", "2001:db8:5::/64", ["192.0.2.12"]]
    assert flows["db1"][8008] == ["192.0.2.31", ["192.0.2.12"]]


def test_backups_flow_between_the_servers_and_the_witness() -> None:
    flows: dict[Any, Any] = {}

    def program() -> None:
        args = arguments(golden("backup"))
        flows.update({name: {flow.port: list(flow.sources) for flow in args.flows(name)} for name in args.members})

    register(program)
    assert flows["lb1"][8433] == [["192.0.2.12"], ["192.0.2.11"]]
    assert flows["db1"][8433] == flows["db2"][8433] == [["192.0.2.20"]]


def test_an_address_of_the_pairs_own_is_let_in() -> None:
    flows: dict[Any, Any] = {}

    def program() -> None:
        nodes = [{"host": "db1", "address": "2001:db8::11"}, {"host": "db2", "address": "2001:db8::12"}]
        args = arguments(golden("version-16", nodes=nodes))
        flows.update({flow.port: list(flow.sources) for flow in args.flows("db1")})
        assert args.sources() == ["192.0.2.11", "192.0.2.12", "2001:db8::11", "2001:db8::12"]

    register(program)
    assert flows[5432] == ["192.0.2.21", ["192.0.2.12", "2001:db8::12"]]


VIP: Final = {"addresses": ["192.0.2.10/24"], "interface": "eth0"}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (
            {"virtualIp": {**VIP, "addresses": ["198.51.100.10/24"]}},
            "virtualIp.addresses[0]: '198.51.100.10/24' is not in the network of 192.0.2.11, 192.0.2.12",
        ),
        (
            {"virtualIp": {**VIP, "addresses": ["192.0.2.12/24"]}},
            "nodes[1].address: '192.0.2.12' is a virtual IP of 'postgres': give the host's own address",
        ),
        (
            {"virtualIp": {**VIP, "addresses": ["192.0.2.10/24", "192.0.2.10/24"]}},
            "virtualIp.addresses[1]: '192.0.2.10' is an address of instance 'postgres' already: remove one",
        ),
        (
            {"virtualIp": VIP, "virtualAddresses": ["192.0.2.10"]},
            "virtualAddresses: '192.0.2.10' is moved by virtualIp: remove it here",
        ),
    ],
)
def test_a_virtual_ip_that_cannot_work_is_refused(data: dict[str, Any], problem: str) -> None:
    def program() -> None:
        with pytest.raises(InvalidConfigurationError) as refused:
            arguments(golden("version-16", **data))
        assert [each for each in refused.value.problems if each.startswith(problem)], refused.value.problems

    register(program)


def test_two_pairs_of_one_segment_have_router_ids_of_their_own() -> None:
    def program() -> None:
        others = {"db3": "192.0.2.13", "db4": "192.0.2.14", "lb2": "192.0.2.21"}
        more = {each: host(each, address=address) for each, address in others.items()}
        first = replace(arguments(golden("version-16", virtualIp=VIP), **more), where="postgres[0]")
        members = {"nodes": [{"host": "db3"}, {"host": "db4"}], "witness": {"host": "lb2"}}
        other = {**VIP, "addresses": ["192.0.2.9/24"]}
        settings = load(PostgresHaSettings, golden("version-16", virtualIp=other, **members), "postgres")
        second = replace(first, where="postgres[1]", settings=settings)
        assert first.virtual_ip
        assert second.virtual_ip
        KeepalivedVip("first", first.virtual_ip)
        with pytest.raises(InvalidConfigurationError) as refused:
            KeepalivedVip("second", second.virtual_ip)
        (problem,) = refused.value.problems
        assert problem.startswith("postgres[1].virtualIp.routerId: 51 is that of postgres[0].virtualIp on the same")

    register(program)


def test_the_virtual_ip_comes_when_somebody_leads() -> None:
    found = registered("ccc")
    assert found["ccc-vip"].inputs["settings"]["instances"][0]["followsLeader"] is True
    assert (
        "/usr/local/lib/postgres-pair/virtual-ip-here"
        in found["ccc-vip-db1-keepalived"].inputs["files"]["/etc/keepalived/keepalived.conf"]
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ccc", "@192.0.2.10:5432/lunadirectordb?"),
        ("version-16", "@192.0.2.11:5432,192.0.2.12:5432/orders?"),
    ],
)
def test_dsns_lead_to_the_primary(name: str, said: str) -> None:
    dsns: list[dict[str, str]] = []

    def program() -> None:
        PostgresHaPair("ccc", arguments(golden(name))).dsns.apply(dsns.append)

    register(program)
    assert said in next(iter(dsns[0].values()))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"nodes": [{"host": "db9"}, {"host": "db2"}]}, r"nodes\[0\]\.host: 'db9' cannot be used: name a host of the"),
        ({"witness": {"host": "lb9"}}, r"witness\.host: 'lb9' cannot be used: name a host of the stack: .*lb1"),
        ({"witness": {"host": "centos"}}, r"witness\.host: 'centos' cannot be used: use a host of the family debian"),
        (
            {"nodes": [{"host": "db1"}, {"host": "named"}]},
            r"nodes\[1\]\.address: 'db\.example\.com' cannot be used: a server binds addresses, not names",
        ),
        (
            {"parameters": {"ssl": False}},
            r"parameters: 'ssl' cannot be used: the pair's TLS, passwords or failover depend on it as it is: remove it",
        ),
        (
            {"parameters": {"work_mem": "1GB"}},
            r"parameters: 'work_mem' cannot be used: it follows from a setting: use memory\.workMem",
        ),
        ({"parameters": {"listen_addresses": "*"}}, r"parameters: 'listen_addresses' cannot be used: it follows from"),
        ({"parameters": {"hot_standby": True}}, r"parameters: 'hot_standby' cannot be used: Patroni decides it"),
        ({"parameters": {"logging_collector": True}}, r"'logging_collector' cannot be used: the journal has the"),
        ({"parameters": {"max_wal_senders": 9}}, r"'max_wal_senders' cannot be used: 9 is too few .* give 10 or more"),
    ],
)
def test_what_does_not_fit_is_refused(data: dict[str, Any], problem: str) -> None:
    def program() -> None:
        more = {"centos": host("centos", family=Family.RHEL), "named": host("named", address="db.example.com")}
        with pytest.raises(ConfigurationError, match=problem):
            arguments(golden("version-16", **data), **more)

    register(program)


def test_a_host_is_in_one_pair() -> None:
    def program() -> None:
        known = {f"db{at}": host(f"db{at}", address=f"192.0.2.{at}") for at in range(1, 5)}
        known["lb1"] = host("lb1", address="192.0.2.20")
        authority = CertificateAuthority("root")

        def args(name: str, nodes: list[str], where: str) -> PostgresHaPairArgs:
            data = golden("version-16") | {"name": name, "nodes": [{"host": each} for each in nodes]}
            settings = load(PostgresHaSettings, data, where)
            return PostgresHaPairArgs(settings=settings, hosts=known, authority=authority, where=where)

        first = args("shop", ["db1", "db2"], "postgres[0]")
        assert replace(first, after=[]).members == first.members
        with pytest.raises(ConfigurationError) as refused:
            args("stock", ["db3", "db4"], "postgres[1]")
        assert str(refused.value) == (
            "postgres[1].witness.host: 'lb1' cannot be used: a host has one etcd and one pair, and"
            " postgres[0].witness.host gives it to 'shop': name another host"
        )
        with pytest.raises(ConfigurationError, match=r"postgres\[1\]\.nodes\[1\]\.host: 'db1' cannot be used"):
            args("stock", ["db3", "db1"], "postgres[1]")

    register(program)
