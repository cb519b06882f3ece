"""What is written on both ends: as reviewed text, and as the policies' parsers read it back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from components.names import account_name, host_name
from components.settings import load
from components.ssh_tunnel_host import SshTunnels, SshTunnelSettings, Timing, TunnelSettings, rendering
from components.ssh_tunnel_host.rendering import FarEnd, Tunnel, endpoint
from policies.parsers import authorized_keys, known_hosts, openssh, systemd
from policies.rules import HostFiles, check_files
from tests.unit.ssh_tunnel_host.registered import HOST_KEY, host, register

GOLDEN = Path(__file__).parents[2] / "golden" / "ssh_tunnel_host"
CASES = sorted(path.stem for path in GOLDEN.glob("*.yaml"))


def written(case: str) -> dict[str, str]:
    """Every file of a case by `host/path`; the supervisor, which is the same everywhere, left out."""
    data: Mapping[str, Any] = yaml.safe_load((GOLDEN / f"{case}.yaml").read_text())

    def program() -> None:
        hosts = {}
        for name, given_ in data["hosts"].items():
            facts = given_ if isinstance(given_, dict) else {"address": given_}
            sources = tuple(facts.get("sourceAddresses", ()))
            hosts[name] = host(name, address=facts["address"], port=facts.get("port", 22), source_addresses=sources)
        SshTunnels("tunnels", load(SshTunnelSettings, data["tunnels"], "tunnels"), hosts)

    roles = [each.inputs for each in register(program).values() if each.kind.endswith(":Role")]
    return {
        f"{role['host']}{path}": text
        for role in roles
        for path, text in role["files"].items()
        if not path.startswith("/usr/local/bin/")
    }


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str) -> None:
    """`UPDATE_GOLDEN=1 pytest tests/unit/ssh_tunnel_host` writes the files anew, to be reviewed like code."""
    files = written(case)
    folder = GOLDEN / case
    if os.environ.get("UPDATE_GOLDEN"):
        for old in (path for path in folder.rglob("*") if path.is_file()):
            old.unlink()
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    golden = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert files == golden


@pytest.mark.parametrize("case", CASES)
def test_golden_files_break_no_rule(case: str) -> None:
    by_host: dict[str, dict[str, str]] = {}
    for name, text in written(case).items():
        server, _, path = name.partition("/")
        by_host.setdefault(server, {})[f"/{path}"] = text
    for server, texts in by_host.items():
        assert check_files(HostFiles(texts=texts)) == [], server


labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
names = st.builds(".".join, st.lists(labels, min_size=1, max_size=4)).filter(lambda name: not name[-1].isdigit())
addresses = st.one_of(st.ip_addresses().map(str), names.map(host_name))
networks = st.one_of(st.ip_addresses().map(str), st.sampled_from(["192.0.2.0/24", "2001:db8::/32"]))
ports = st.integers(1, 65535)
accounts = st.from_regex(r"[a-z_][a-z0-9_-]{0,30}", fullmatch=True).map(account_name)
timings = st.builds(
    Timing,
    server_alive_interval=st.integers(1, 60),
    server_alive_count_max=st.integers(1, 10),
    connect_timeout=st.integers(1, 60),
    probe_interval=st.integers(1, 300),
    restart_delay=st.sampled_from(["1ms", "500ms", "5s"]),
)
targets = st.builds(endpoint, addresses, ports)
fewer = settings(max_examples=50)
keys = st.binary(min_size=32, max_size=32).map(lambda raw: f"ssh-ed25519 {'A' * 24}{raw.hex()}")


@fewer
@given(
    far=addresses,
    port=ports,
    name=names,
    local=st.integers(1024, 65535),
    target=targets,
    user=accounts,
    timing=timings,
)
def test_client_is_read_back(
    *, far: str, port: int, name: str, local: int, target: str, user: str, timing: Timing
) -> None:
    tunnel_settings = TunnelSettings(server="far", name=name, local_port=local, target_port=1)
    tunnel = Tunnel(
        alias=tunnel_settings.alias,
        server=name,
        far_end=FarEnd(address=far, port=port, host_key=HOST_KEY),
        local_endpoint=tunnel_settings.local_endpoint,
        target_endpoint=target,
    )
    path = "/etc/ssh/sealed-data-tier/a/b.conf"
    read = openssh.parse_client(path, {path: rendering.ssh_config(tunnel, user, timing)})
    assert not read.problems

    def value(keyword: str) -> tuple[str, ...]:
        (option,) = read.possible(keyword, {"originalhost": tunnel_settings.alias})
        assert option is not None
        return option.words

    assert value("HostName") == (far,)
    assert value("Port") == (str(port),)
    assert value("User") == (user,)
    assert value("LocalForward") == (f"127.0.0.1:{local}", target)
    assert value("HostKeyAlias") == (tunnel.host_key_alias,)
    assert value("UserKnownHostsFile") == (f"{rendering.tunnel_directory(user)}/known_hosts",)
    assert value("ConnectTimeout") == (str(timing.connect_timeout),)
    assert value("ServerAliveInterval") == (str(timing.server_alive_interval),)
    assert value("ServerAliveCountMax") == (str(timing.server_alive_count_max),)
    assert read.possible("LocalForward", {"originalhost": "another"}) == [None]


@fewer
@given(accounts, st.lists(targets, min_size=1, max_size=5, unique=True), timings)
def test_server_is_read_back(user: str, allowed: list[str], timing: Timing) -> None:
    path = f"/etc/ssh/sshd_config.d/50-{user}.conf"
    text = rendering.sshd_config(user, allowed, timing)
    read = openssh.parse_server([path], {path: text + "PermitRootLogin no\n"})
    assert not read.problems
    (permit,) = read.possible("PermitOpen", {"user": user})
    assert permit is not None
    assert list(permit.words) == allowed
    (forced,) = read.possible("ForceCommand", {"user": user})
    assert forced is not None
    assert forced.value == "/usr/sbin/nologin"
    # Others are not concerned, and what comes after the file is not swallowed by its Match block.
    assert read.possible("ForceCommand", {"user": f"{user}x"}) == [None]
    assert [option.value for option in read.possible("PermitRootLogin", {"user": "root"}) if option] == ["no"]


@fewer
@given(keys, st.lists(networks, min_size=1, max_size=4), st.lists(targets, min_size=1, max_size=4), labels)
def test_admitted_key_is_read_back(key: str, sources: list[str], allowed: list[str], client: str) -> None:
    line = rendering.authorized_key(
        f"{key} a comment of its own\n", sources=sources, targets=allowed, comment=f"{client} generation 1"
    )
    (read,), problems = authorized_keys.parse(line)
    assert not problems
    assert f"{read.kind} {read.blob}" == key
    assert read.comment == f"{client} generation 1"
    assert read.values("permitopen") == allowed
    assert read.values("from") == [",".join(sources)]
    assert read.values("command") == ["/usr/sbin/nologin"]
    assert read.has("restrict")


@fewer
@given(st.lists(st.tuples(addresses, ports, keys), min_size=1, max_size=5))
def test_pinned_hosts_are_read_back(ends: list[tuple[str, int, str]]) -> None:
    far_ends = [FarEnd(address=address, port=port, host_key=key) for address, port, key in ends]
    pins, problems = known_hosts.parse(rendering.known_hosts([*far_ends, far_ends[0]]))
    assert not problems
    assert {(pin.hosts, f"{pin.kind} {pin.blob}") for pin in pins} == {
        ((end.known_as,), end.host_key) for end in far_ends
    }
    assert len(pins) == len(set(far_ends))


@fewer
@given(names, accounts, timings, st.sampled_from(["redis", "tcp"]))
def test_unit_is_read_back(instance: str, user: str, timing: Timing, probe: str) -> None:
    path = "/etc/systemd/system/tunnel.service"
    (unit,) = systemd.units({path: rendering.service_unit(instance, user, probe, timing)})
    assert not unit.problems
    ((_, words),) = unit.commands()
    config = f"{rendering.tunnel_directory(user)}/{instance}.conf"
    assert words == [rendering.script_path(user), config, instance, probe, str(timing.probe_interval)]
    start = unit.last("Service", "TimeoutStartSec")
    assert start is not None
    assert int(start.value) > timing.connect_timeout + 10, "the supervisor's own pause comes before systemd's patience"
