"""What a cache service registers, and how the vendor's script is told the passwords."""

from __future__ import annotations

import shlex
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from components.cache_service import CacheService, CacheServiceArgs, CacheServiceSettings
from components.firewall import Flow
from components.settings import InvalidConfigurationError, load
from tests.unit.cache_service.test_cache_service_settings import CONNECTIONS, GOOD
from tests.unit.ssh_tunnel_host.registered import HOST_KEY, STACK, Registered, host, register, revealed

CACHE_PASSWORD = "c4che `word` 'quoted'"
HOSTS = ("app1", "app2", "lb1", "worker1", "worker2")


def resources(data: dict[str, Any], *, password: str | None = CACHE_PASSWORD, **of_hosts: Any) -> dict[str, Registered]:
    def program() -> None:
        hosts = {name: host(name, **of_hosts) for name in HOSTS}
        settings = load(CacheServiceSettings, data, "cacheService")
        service = CacheService("cache", CacheServiceArgs(settings=settings, hosts=hosts, password=password))
        assert service.outputs["localEndpoints"]["app1"] == ["127.0.0.1:30379"]
        assert service.outputs["haproxy"] == {"haproxy_cache_service": ["127.0.0.1:30379"]}

    return register(program)


@pytest.fixture(scope="module")
def registered() -> dict[str, Registered]:
    return resources(GOOD)


@pytest.mark.parametrize(
    ("name", "kind", "parent"),
    [
        ("cache", "sealed-data-tier:cache_service:CacheService", STACK),
        ("cache-tunnels", "sealed-data-tier:ssh_tunnel_host:SshTunnels", "cache"),
        ("cache-balancer", "sealed-data-tier:haproxy_load_balancer:HaproxyLoadBalancer", "cache"),
        ("app1-connections", "command:remote:Command", "cache"),
    ],
)
def test_names_types_and_parents(registered: dict[str, Registered], name: str, kind: str, parent: str) -> None:
    assert (registered[name].kind, registered[name].parent) == (kind, parent)


def test_counts(registered: dict[str, Registered]) -> None:
    kinds = Counter(each.kind.rpartition(":")[2] for each in registered.values() if each.name not in HOSTS)
    del kinds["Command"], kinds["Role"]
    assert kinds == {
        "CacheService": 1,
        "SshTunnels": 1,
        "PrivateKey": 3,
        "SshTunnelServer": 3,
        "SshTunnelHost": 3,
        "HaproxyLoadBalancer": 1,
    }


def test_without_connections_nothing_is_run() -> None:
    data = {key: value for key, value in GOOD.items() if key != "connections"}
    assert set(resources(GOOD)) - set(resources(data)) == {"app1-connections"}


def test_the_node_port_is_for_the_tunnels_only_on_every_node() -> None:
    flows: dict[str, list[Flow]] = {}

    def program() -> None:
        settings = load(CacheServiceSettings, {**GOOD, "otherNodes": ["control"]}, "cacheService")
        hosts = {name: host(name) for name in (*HOSTS, "control")}
        flows.update(CacheService("cache", CacheServiceArgs(settings=settings, hosts=hosts, password="x")).flows)

    register(program)
    assert {name for name in flows if any(flow.sources == () for flow in flows[name])} == {
        *("worker1", "worker2", "control"),
    }
    assert [(flow.port, flow.sources) for flow in flows["worker1"]][-1] == (30379, ())
    assert [(flow.port, flow.sources) for flow in flows["control"]] == [(30379, ())]


def test_every_remote_command_is_pinned_and_silent(registered: dict[str, Registered]) -> None:
    for each in registered.values():
        if each.kind == "command:remote:Command":
            assert revealed(each.inputs["connection"])["hostKey"] == HOST_KEY
            assert each.inputs["logging"] == "none"


def test_passwords_are_in_secret_input_only(registered: dict[str, Registered]) -> None:
    for each in registered.values():
        shown = repr({key: value for key, value in each.inputs.items() if key != "stdin"})
        assert CACHE_PASSWORD not in shown
        assert CONNECTIONS["password"] not in shown
    told = revealed(registered["app1-connections"].inputs["stdin"])
    assert told.endswith(f"secrets\n{CONNECTIONS['password']}\n{CACHE_PASSWORD}\n")


def test_a_password_in_the_configuration_wins() -> None:
    registered = resources({**GOOD, "password": "of the configuration"})
    assert revealed(registered["app1-connections"].inputs["stdin"]).endswith("\nof the configuration\n")


def test_no_password_at_all_is_refused() -> None:
    with pytest.raises(InvalidConfigurationError) as refused:
        resources(GOOD, password=None)
    (problem,) = refused.value.problems
    assert problem.startswith("cacheService.password: is missing: set it: pulumi config set --secret")


def run(script: Path, *, sudo_password: str | None = None, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run, on this machine and without sudo, what would run on the host."""
    data = {**GOOD, "connections": {**CONNECTIONS, "script": str(script), **settings}}
    hosts = {"user": "root"} if sudo_password is None else {"sudo_password": sudo_password}
    command = resources(data, **hosts)["app1-connections"].inputs
    words = shlex.split(command["create"])
    return subprocess.run(
        words[words.index("sh") :], input=revealed(command["stdin"]), capture_output=True, text=True, check=False
    )


def recorder(folder: Path, last: str = "") -> Path:
    """A stand-in for the vendor's script, at a path as awkward as a path may be."""
    script = folder / 'it\'s "the" $script.sh'
    script.write_text(
        f'printf \'%s\\n\' "$0" "$@" >{folder}/arguments\n'
        f"tr '\\0' '\\n' </proc/$$/cmdline >{folder}/cmdline\n"
        f"tr '\\0' '\\n' </proc/$PPID/cmdline >>{folder}/cmdline\n"
        f"env >{folder}/environment\n"
        f"cat >{folder}/stdin\n"
        f"{last}\n"
    )
    return script


@pytest.mark.parametrize("sudo_password", [None, "read by nobody, since sudo did not ask"])
def test_script_gets_its_arguments_and_nobody_else_sees_them(tmp_path: Path, sudo_password: str | None) -> None:
    script = recorder(tmp_path)
    done = run(script, sudo_password=sudo_password)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "arguments").read_text().splitlines() == [
        str(script),
        *("-m", "localhost", "-po", "30379", "-ic", CONNECTIONS["url"], "-ic_u", CONNECTIONS["user"]),
        *("-ic_p", CONNECTIONS["password"], "-pw", CACHE_PASSWORD),
    ]
    for place in ("cmdline", "environment", "stdin"):
        text = (tmp_path / place).read_text()
        assert CONNECTIONS["password"] not in text
        assert CACHE_PASSWORD not in text
    assert (tmp_path / "stdin").read_text() == ""


def test_failure_is_told_without_the_passwords(tmp_path: Path) -> None:
    done = run(recorder(tmp_path, 'echo "cannot log in as $8 with ${10} or ${12}"; exit 7'))
    assert done.returncode == 7
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "cannot log in as wasadmin with [secret] or [secret]",
        f'{tmp_path}/it\'s "the" $script.sh failed with exit code 7',
    ]


def test_what_it_says_in_the_end_is_enough(tmp_path: Path) -> None:
    done = run(recorder(tmp_path, "seq 1000; false"))
    assert done.stderr.splitlines()[:-1] == [str(number) for number in range(981, 1001)]


def test_missing_script(tmp_path: Path) -> None:
    done = run(tmp_path / "nothing.sh")
    assert done.returncode != 0
    assert "nothing.sh: No such file or directory" in done.stderr


def test_endless_script_is_ended(tmp_path: Path) -> None:
    done = run(recorder(tmp_path, "sleep 1000"), timeout=1)
    assert done.returncode == 124
    assert "was ended: it took longer than 1 s" in done.stderr
