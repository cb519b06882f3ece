"""What the engine is told: types, names, order and inputs."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pytest

from components.firewall import FlowProtocol
from components.keepalived_vip import KeepalivedVip, KeepalivedVipArgs, KeepalivedVipSettings, haproxy_ready
from components.settings import load
from tests.unit.keepalived_vip.test_vip_settings import GROUP, INSTANCE
from tests.unit.ssh_tunnel_host.registered import STACK, Registered, host, register

CONFIGURATION: Final = "/etc/keepalived/keepalived.conf"
LATE: Final = {"lb1": pulumi.Output.from_input("192.0.2.11"), "lb2": pulumi.Output.from_input("192.0.2.12")}


def registered(data: dict[str, Any], addresses: dict[str, Any] | None = None) -> dict[str, Registered]:
    def program() -> None:
        known = addresses or {"lb1": "192.0.2.11", "lb2": "192.0.2.12"}
        hosts = {name: host(name, address=address) for name, address in known.items()}
        settings = load(KeepalivedVipSettings, data, "vip")
        args = KeepalivedVipArgs(settings=settings, hosts=hosts)
        vip = KeepalivedVip("front", args)
        assert vip.addresses == {"front": ["192.0.2.5"]}
        assert (vip.router_ids, vip.hosts) == ({"front": 51}, ["lb1", "lb2"])
        for name, other in (("lb1", "lb2"), ("lb2", "lb1")):
            (flow,) = vip.flows[name]
            assert (flow.protocol, flow.port, flow.sources) == (FlowProtocol.VRRP, None, [known[other]])

    return register(program)


def test_types_names_and_parents() -> None:
    found = registered(GROUP)
    names = ("front", "front-lb1-keepalived", "front-lb2-keepalived", "lb1-keepalived", "lb2-keepalived")
    assert {name: (found[name].kind, found[name].parent) for name in names} == {
        "front": ("sealed-data-tier:keepalived_vip:KeepalivedVip", STACK),
        "front-lb1-keepalived": ("sealed-data-tier:host:Role", "front"),
        "front-lb2-keepalived": ("sealed-data-tier:host:Role", "front"),
        "lb1-keepalived": ("command:remote:Command", "front-lb1-keepalived"),
        "lb2-keepalived": ("command:remote:Command", "front-lb2-keepalived"),
    }


def test_reviewers_see_each_nodes_configuration() -> None:
    found = registered(GROUP)
    first, second = (found[f"front-{name}-keepalived"].inputs for name in ("lb1", "lb2"))
    assert "unicast_src_ip 192.0.2.11" in first["files"][CONFIGURATION]
    assert "priority 101" in first["files"][CONFIGURATION]
    assert "unicast_src_ip 192.0.2.12" in second["files"][CONFIGURATION]
    assert "priority 100" in second["files"][CONFIGURATION]
    assert first["units"] == ["keepalived.service"]
    assert first["users"] == ["keepalived_script /nonexistent /usr/sbin/nologin"]
    names = {"interfaces and addresses", "accounts and programs", "keepalived --config-test"}
    assert set(first["validations"]) == names


def test_addresses_may_come_later() -> None:
    late, known = registered(GROUP, LATE), registered(GROUP)
    for name in ("front-lb1-keepalived", "front-lb2-keepalived"):
        assert late[name].inputs["files"] == known[name].inputs["files"]


def test_late_addresses_are_refused_as_well() -> None:
    with pytest.raises(ValueError, match="is not in the network of"):
        registered(GROUP, {**LATE, "lb2": pulumi.Output.from_input("203.0.113.1")})


def test_what_is_not_asked_for_is_not_there() -> None:
    files = registered(GROUP)["front-lb1-keepalived"].inputs["files"]
    assert set(files) == {
        CONFIGURATION,
        "/etc/keepalived/addresses",
        "/usr/local/lib/keepalived-vip/vip",
        "/etc/systemd/system/keepalived.service.d/sealed-data-tier.conf",
    }
    more = {"hook": {"command": ["/bin/hook"]}, "nonlocalBind": True}
    extended = registered({**GROUP, **more})["front-lb1-keepalived"].inputs["files"]
    assert set(extended) - set(files) == {
        "/usr/local/lib/keepalived-vip/notify",
        "/etc/sysctl.d/60-keepalived-vip.conf",
    }


def test_programs_of_checks_are_installed() -> None:
    tracked = {**INSTANCE, "trackScripts": [haproxy_ready().model_dump(by_alias=True)]}
    assert "curl" not in registered(GROUP)["front-lb1-keepalived"].inputs["packages"]
    found = registered({**GROUP, "instances": [tracked]})["front-lb1-keepalived"].inputs
    assert found["packages"] == ["keepalived", "iproute2", "iputils-ping", "procps", "curl"]
