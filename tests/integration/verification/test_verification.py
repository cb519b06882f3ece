"""The dev stack is sealed; whatever is broken in it is found, on the host where it is, and said in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.integration.conftest import DevStack
from tests.integration.support import wait_for
from tests.integration.verification.faults import (
    added,
    asked,
    carries,
    connected,
    edited,
    impostor,
    kept,
    manage,
    opened,
    silent,
    stopped,
    watched,
)
from tests.integration.verification.verdict import Verdict, run_verification, verify
from verification.export import parse
from verification.stack import read

pytestmark = pytest.mark.lab

PORT: Final = 30379
TUNNEL: Final = "cache-service-tunnel-websphere.service"
WORKER_TUNNEL: Final = "cache-service-tunnel-k8s@worker2.example.com-30380.service"
OWN: Final = "/etc/ssh/sealed-data-tier/cache-service-tunnel"

Verify = Callable[..., Verdict]


@pytest.fixture
def verdict(lab: DevStack, tmp_path: Path) -> Verify:
    """Verifies the dev stack."""
    return lambda *options: verify(lab.project, tmp_path / "verification.json", *options)


def test_sealed_stack_is_said_to_be_sealed(lab: DevStack, tmp_path: Path) -> None:
    report = tmp_path / "new" / "verification.json"
    run = run_verification(lab.project.environment, "--output", str(report))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "sealed" in run.stdout
    content = json.loads(report.read_text())
    assert list(content) == ["verdict", "checks"]
    assert content["verdict"] == "sealed"
    assert all(list(check) == ["name", "host", "ok", "detail"] for check in content["checks"])
    assert {check["name"] for check in content["checks"]} == {
        *("login", "listeners", "clients", "exposure", "firewall", "units", "traffic", "redis", "certificates"),
        *("confinement", "files", "policies"),
    }
    assert {check["host"] for check in content["checks"]} == set(lab.hosts)


def test_json_goes_to_standard_output_alone(verdict: Verify) -> None:
    found = verdict("--json")
    assert json.loads(found.text)["verdict"] == "sealed"


def test_no_secret_is_told(lab: DevStack, verdict: Verify) -> None:
    secrets = _secrets(lab)
    assert secrets
    with edited(lab.host("app1"), f"{OWN}/id_ed25519", "1s/BEGIN/BEGUN/"):
        found = verdict("--json")
    assert "is not what the stack wrote" in found.problems("files", "app1")
    assert not [secret for secret in secrets if secret in found.text]


def test_no_secret_is_in_an_argument_or_an_environment_of_any_process(lab: DevStack, verdict: Verify) -> None:
    application = lab.host("app1")
    with watched(application) as seen:

        def script_was_seen() -> bool:  # who looks again and again may miss what is short
            assert verdict().code == 0
            return "systemctl\0show" in seen()

        wait_for(script_was_seen)
        processes = seen()
    assert not [secret for secret in _secrets(lab) if secret in processes]


def _secrets(lab: DevStack) -> list[str]:
    stack = read(parse(lab.project.pulumi("stack", "export", "--show-secrets").text))
    keys = [tunnels.key or "" for host in stack.hosts.values() for tunnels in host.tunnels]
    keys += [host.login.private_key or "" for host in stack.hosts.values() if host.login]
    lines = [line for key in keys for line in key.splitlines() if line and not line.startswith("-")]
    return [*lines, *(cache.password or "" for cache in stack.caches)]


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_listener_on_every_address_is_found(lab: DevStack, verdict: Verify, address: str) -> None:
    with opened(lab.host("outsider"), address, PORT):
        found = verdict()
    assert f"systemd listens on tcp {'[::]' if address == '::' else address}:{PORT}" in found.problems(
        "listeners", "outsider"
    )
    assert "answers app1" in found.problems("exposure", "outsider")
    assert "answers the host itself" in found.problems("exposure", "outsider")


def test_reachable_application_host_is_found(lab: DevStack, verdict: Verify) -> None:
    host = lab.host("app1")
    address = host.address
    with opened(host, address, PORT), connected(lab.host("outsider"), address, PORT):
        found = verdict()
    assert f"{address}:{PORT}, which others reach" in found.problems("listeners", "app1")
    assert f"{address}:{PORT} answers outsider" in found.problems("exposure", "app1")
    assert f"{lab.host('outsider').address} is connected to {address}:{PORT}" in found.problems("clients", "app1")


@pytest.mark.parametrize("name", ["app1", "app2"])
def test_stopped_tunnel_is_found_and_the_other_hosts_are_well(lab: DevStack, verdict: Verify, name: str) -> None:
    with stopped(lab.host(name), TUNNEL, carries(TUNNEL)):
        found = verdict()
    assert f"{TUNNEL} is inactive" in found.problems("units", name)
    assert f"nothing listens on 127.0.0.1:{PORT}" in found.problems("listeners", name)
    assert "nothing can be written: 127.0.0.1:30379: Connection refused" in found.problems("traffic", name)
    assert {host for _, host in found.wrong} == {name}


def test_other_program_on_a_tunnels_port_is_found(lab: DevStack, verdict: Verify) -> None:
    balancer = lab.host("lb1")
    with stopped(balancer, WORKER_TUNNEL, carries(WORKER_TUNNEL)), impostor(balancer, 30380):
        found = verdict()
    assert "python3 listens on 127.0.0.1:30380 instead of ssh" in found.problems("listeners", "lb1")


def test_tunnel_that_heals_meanwhile_is_no_problem(lab: DevStack, verdict: Verify) -> None:
    main_pid = f'"$(systemctl show -P MainPID {TUNNEL})"'
    kill = f"systemctl kill --signal=KILL {TUNNEL}"
    # From the moment on in which systemd knows it too.
    lab.host("app2").run(f"pid={main_pid}; {kill}; while [ {main_pid} = $pid ]; do sleep 0.05; done")
    found = verdict()
    assert found.code == 0, found.text


def test_tunnel_that_does_not_stay_up_is_found(lab: DevStack, verdict: Verify) -> None:
    host = lab.host("app2")
    dies = "[Service]\nExecStartPost=/usr/bin/false\n"
    restart = f"systemctl daemon-reload && systemctl restart --no-block {TUNNEL}"
    with added(host, f"/etc/systemd/system/{TUNNEL}.d/fault.conf", dies, then=restart):
        found = verdict()
    assert f"{TUNNEL} is activating" in found.problems("units", "app2")


def test_balancer_that_has_just_started_has_time_to_find_a_worker(lab: DevStack, verdict: Verify) -> None:
    servers = [f"masters_cache_service/{name}.example.com" for name in ("worker1", "worker2")]
    commands = "".join(f"set server {server} health down; " for server in servers)
    lab.host("lb1").run("socat -t 5 - UNIX-CONNECT:/run/haproxy/admin.sock", stdin=f"{commands}\n")
    found = verdict()
    assert found.code == 0, found.text


def test_cache_that_hangs_up_for_good_is_found(lab: DevStack, verdict: Verify) -> None:
    with stopped(lab.host("lb1"), "haproxy.service", "systemctl is-active haproxy && sleep 1"):
        found = verdict()
    assert "haproxy.service is inactive" in found.problems("units", "lb1")
    assert "nothing can be written: 127.0.0.1:30379: the connection was closed" in found.problems("traffic", "app1")
    assert "nothing can be written" in found.problems("traffic", "app2")


def test_disabled_unit_is_found(lab: DevStack, verdict: Verify) -> None:
    host = lab.host("app2")
    host.run(["systemctl", "disable", "--quiet", TUNNEL])
    try:
        found = verdict()
    finally:
        host.run(["systemctl", "enable", "--quiet", TUNNEL])
    assert "it does not come back after a reboot" in found.problems("units", "app2")
    assert found.wrong == {("units", "app2")}


def test_edited_file_is_found_with_its_line_and_the_rule_that_it_breaks(lab: DevStack, verdict: Verify) -> None:
    path = "/etc/haproxy/haproxy.cfg"
    with edited(lab.host("lb1"), path, rf"s/bind 127.0.0.1:{PORT}/bind *:{PORT}/"):
        found = verdict()
    drift = found.problems("files", "lb1")
    assert path in drift
    assert f"was '    bind 127.0.0.1:{PORT}'" in drift
    assert "[haproxy-bind]" in found.problems("policies", "lb1")


def test_wrong_mode_and_owner_are_found(lab: DevStack, verdict: Verify) -> None:
    host, path = lab.host("app1"), f"{OWN}/id_ed25519"
    with kept(host, path):
        host.run(f"chmod 0644 {path} && chown ops:ops {path}")
        found = verdict()
    drift = found.problems("files", "app1")
    assert f"{path} has mode 0644, not 0600" in drift
    assert f"{path} belongs to ops:ops, not root:root" in drift
    assert "[secret-mode]" in found.problems("policies", "app1")


def test_missing_file_and_link_are_found(lab: DevStack, verdict: Verify) -> None:
    host = lab.host("app1")
    with kept(host, f"{OWN}/known_hosts"), kept(host, f"{OWN}/lb1-30379.conf"):
        host.run(f"rm {OWN}/known_hosts && mv {OWN}/lb1-30379.conf /run/moved && ln -s /run/moved {OWN}/lb1-30379.conf")
        found = verdict()
        host.run("rm /run/moved")
    assert "known_hosts is missing" in found.problems("files", "app1")
    assert "is a symbolic link" in found.problems("files", "app1")


def test_key_that_nobody_reviewed_is_found(lab: DevStack, verdict: Verify) -> None:
    with added(lab.host("lb1"), f"{OWN}/more.keys", "ssh-ed25519 AAAA nobody\n"):
        found = verdict()
    assert f"{OWN}/more.keys was not written by the stack" in found.problems("files", "lb1")


def test_directory_that_others_can_write_is_found(lab: DevStack, verdict: Verify) -> None:
    host = lab.host("lb1")
    host.run(["chmod", "0777", OWN])
    try:
        found = verdict()
    finally:
        host.run(["chmod", "0755", OWN])
    assert f"{OWN} belongs to root:root with mode 0777" in found.problems("files", "lb1")


def test_drop_in_that_softens_a_tunnel_is_found(lab: DevStack, verdict: Verify) -> None:
    path = f"/etc/systemd/system/{TUNNEL}.d/fault.conf"
    with added(lab.host("app1"), path, "[Service]\nNoNewPrivileges=no\n", then="systemctl daemon-reload"):
        found = verdict()
    broken = found.problems("policies", "app1")
    assert f"{path}:2" in broken
    assert "[tunnel-unit]" in broken


def test_sshd_rule_that_comes_first_is_found(lab: DevStack, verdict: Verify) -> None:
    opens = "Match User cache-service-tunnel\n  PermitOpen any\n  PermitTTY yes\nMatch all\n"
    path = "/etc/ssh/sshd_config.d/05-fault.conf"
    with added(lab.host("worker1"), path, opens, then="systemctl reload ssh"):
        found = verdict()
    broken = found.problems("confinement", "worker1")
    assert "sshd applies PermitOpen any to cache-service-tunnel" in broken
    assert "sshd applies PermitTTY yes to cache-service-tunnel" in broken


def test_account_that_can_do_more_is_found_by_trying(lab: DevStack, verdict: Verify) -> None:
    host = lab.host("worker1")
    opens = (
        "Match User cache-service-tunnel\n  PermitOpen any\n  PermitTTY yes\n  ForceCommand none\n"
        "  AllowStreamLocalForwarding yes\n  AllowTcpForwarding yes\n  PermitListen any\nMatch all\n"
    )
    keys = f"{OWN}/generation-1.keys"
    # The account's shell still is nologin, so commands stay closed whatever sshd says.
    with (
        edited(host, keys, "s/^restrict.* ssh-ed25519/ssh-ed25519/"),
        added(host, "/etc/ssh/sshd_config.d/05-fault.conf", opens, then="systemctl reload ssh"),
    ):
        found = verdict()
    broken = found.problems("confinement", "worker1")
    for escape in ("reaches 127.0.0.1:22", "reaches sockets", "opens listeners", "has a terminal"):
        assert f"cache-service-tunnel, coming from lb1, {escape}" in broken
    assert "[tunnel-key]" in found.problems("policies", "worker1")


def test_silent_host_is_said_to_be_unreachable_and_nothing_of_it_is_well(lab: DevStack, verdict: Verify) -> None:
    with lab.host("outsider").paused():
        found = verdict()
    assert "did not answer within" in found.problems("login", "outsider")
    assert "not done" in found.problems("listeners", "outsider")
    assert {host for _, host in found.wrong} == {"outsider"}


def test_without_an_outsider_every_other_host_tries(lab: DevStack, verdict: Verify) -> None:
    host = lab.host("app1")
    with lab.host("outsider").paused(), opened(host, host.address, PORT):
        found = verdict()
    for other in ("app2", "lb1", "worker1", "worker2", "redis1"):
        assert f"answers {other}" in found.problems("exposure", "app1")


def test_firewall_that_is_silent_is_as_good_as_a_refusal(lab: DevStack, verdict: Verify) -> None:
    with silent(lab.host("lb1"), "30378-30380"):
        found = verdict()
    assert found.code == 0, found.text
    mine = [check["detail"] for check in found.checks if (check["name"], check["host"]) == ("exposure", "lb1")]
    assert "0 refused, 12 unanswered" in str(mine)


def test_hosts_that_forward_nothing_for_administrators_are_verified_as_well(lab: DevStack, verdict: Verify) -> None:
    forbids = "Match User ops\n  AllowTcpForwarding no\nMatch all\n"
    path = "/etc/ssh/sshd_config.d/05-fault.conf"
    open_one = lab.host("app1")
    with ExitStack() as faults:
        for host in lab.hosts.values():
            faults.enter_context(added(host, path, forbids, then="systemctl reload ssh"))
        # Attempts that nobody answers must not use up the sessions that sshd allows.
        faults.enter_context(silent(lab.host("lb1"), "30378-30380"))
        sealed = verdict()
        faults.enter_context(opened(open_one, open_one.address, PORT))
        found = verdict()
    assert sealed.code == 0, sealed.text
    assert f"{open_one.address}:{PORT} answers outsider" in found.problems("exposure", "app1")


@pytest.mark.parametrize(
    ("change", "undo", "problem"),
    [
        (
            "CONFIG SET tls-auth-clients optional",
            "CONFIG SET tls-auth-clients yes",
            'the running server has tls-auth-clients "optional", not "yes"',
        ),
        ("CONFIG SET port 7000", "CONFIG SET port 0", 'the running server has port "7000", not "0"'),
        (
            "ACL SETUSER guest on nopass",
            "ACL DELUSER guest",
            "the running server lets guest in without a password",
        ),
    ],
)
def test_server_that_was_changed_while_it_runs_is_found(
    lab: DevStack, verdict: Verify, change: str, undo: str, problem: str
) -> None:
    with asked(lab.host("redis2"), change, undo):
        found = verdict()
    assert problem in found.problems("redis", "redis2")
    assert {host for _, host in found.wrong} == {"redis2"}


def test_certificate_that_is_not_served_is_found(lab: DevStack, verdict: Verify) -> None:
    """As after a reload that failed: the files are right, and the server still has something else."""
    host, directory = lab.host("redis3"), "/etc/redis/tls/server"
    kind = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
    other = f"openssl req -x509 {kind} -subj /CN=other -addext subjectAltName=IP:{host.address}"
    with kept(host, f"{directory}/server.crt"), kept(host, f"{directory}/server.key"):
        host.run(f"cd {directory} && {other} -keyout server.key -out server.crt && chown redis server.key")
        manage(host, f"CONFIG SET tls-cert-file {directory}/server.crt tls-key-file {directory}/server.key")
    try:
        found = verdict()
        assert f"{host.address}:6379" in found.problems("certificates", "redis3")
    finally:
        host.run("systemctl restart redis-server")
