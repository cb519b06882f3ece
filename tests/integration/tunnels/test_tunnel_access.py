"""What the tunnels' key may do on the far host, tried with the real key: forward to one port, and nothing else."""

from __future__ import annotations

import subprocess

import pytest

from lab.machine import LabHost
from tests.integration.tunnels.stack import DIRECTORY, PORT, USER, Stack, carries, journal

pytestmark = [pytest.mark.lab, pytest.mark.engine]

ALIAS = "worker1.example.com-30378"
KEY = f"{DIRECTORY}/id_ed25519"
REFUSED = 255
"""Exit code of ssh when ssh itself failed."""


def plain(host: LabHost, options: str, address: str, *, key: str = KEY) -> subprocess.CompletedProcess[str]:
    """Run ssh with a tunnel's key and pins, and with nothing of its configuration."""
    return host.run(
        "timeout 5 ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o ExitOnForwardFailure=yes "
        f"-o IdentityFile={key} -o UserKnownHostsFile={DIRECTORY}/known_hosts {options} {USER}@{address} </dev/null",
        check=False,
    )


def ssh(host: LabHost, options: str, arguments: str = "", *, key: str = KEY) -> subprocess.CompletedProcess[str]:
    """Run ssh with a tunnel's own configuration and key, changed by options that come first and so win."""
    return host.run(
        f"CREDENTIALS_DIRECTORY=/ timeout 10 ssh -F {DIRECTORY}/{ALIAS}.conf -o IdentityFile={key} "
        f"-o LogLevel=INFO -o ClearAllForwardings=yes {options} {ALIAS} {arguments}",
        check=False,
    )


def test_port_works(stack: Stack) -> None:
    assert carries(stack.host("app1"), PORT)
    assert carries(stack.host("lb1"), 30378)
    assert carries(stack.host("lb1"), 30380)


def test_nobody_else_reaches_the_port(stack: Stack) -> None:
    balancer = stack.host("lb1")
    assert not carries(stack.host("app1"), 30378, balancer.address)
    listeners = balancer.run("ss -Hltn 'sport = :30378'").stdout.split()
    assert listeners[3] == "127.0.0.1:30378"


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ("-o SessionType=default", ""),
        ("-o SessionType=default", "id"),
        ("-o SessionType=default -tt", ""),
        ("-o SessionType=default -tt", "/bin/sh -i"),
        ("-o SessionType=subsystem", "sftp"),
    ],
    ids=["shell", "command", "terminal", "command on a terminal", "sftp"],
)
def test_no_session(stack: Stack, options: str, arguments: str) -> None:
    done = ssh(stack.host("lb1"), options, arguments)
    assert "uid=" not in done.stdout
    if "-tt" in options:
        assert "PTY allocation request failed" in done.stderr
    else:
        assert done.returncode == 1
        assert done.stdout.strip() == "This account is currently not available."


@pytest.mark.parametrize(
    "target",
    ["127.0.0.1:22", "127.0.0.1:30378", "[::1]:30379", "localhost:30379", "worker2:22", "0.0.0.0:30379"],
)
def test_no_other_target(stack: Stack, target: str) -> None:
    done = ssh(stack.host("lb1"), f"-o SessionType=none -W {target}")
    assert done.returncode == REFUSED
    assert "administratively prohibited" in done.stderr


def test_its_own_target_by_the_same_means(stack: Stack) -> None:
    """So that the refusals above are about the target and not about the means."""
    done = ssh(stack.host("lb1"), f"-o SessionType=none -W 127.0.0.1:{PORT} </dev/null")
    assert done.returncode == 0


@pytest.mark.parametrize(
    "forward",
    ["127.0.0.1:40001:127.0.0.1:22", "0.0.0.0:40001:127.0.0.1:22", "/tmp/forwarded:127.0.0.1:22", "40001"],
    ids=["loopback", "everywhere", "socket", "dynamic"],
)
def test_no_listener_on_the_far_host(stack: Stack, forward: str) -> None:
    far = stack.host("worker1")
    done = plain(stack.host("lb1"), f"-N -R {forward}", far.address)
    assert done.returncode == REFUSED
    assert "remote port forwarding failed" in done.stderr
    assert not far.run("ss -Hltn 'sport = :40001'; ls /tmp/forwarded 2>/dev/null || :").stdout


def test_no_socket_of_another_service(stack: Stack) -> None:
    far, balancer = stack.host("worker1"), stack.host("lb1")
    socket, refusal = "/srv/cache-service/valkey.sock", "refused streamlocal port forward"
    assert "NOAUTH" in far.run(["valkey-cli", "-s", socket, "PING"]).stdout
    before = journal(far, refusal)
    ask = "until ss -Hltn sport = :40002 | grep -q .; do sleep 0.1; done; valkey-cli -p 40002 PING"
    balancer.run(["systemd-run", "--quiet", "--collect", "sh", "-c", f"{ask} >/run/asked 2>&1"])
    plain(balancer, f"-N -L 127.0.0.1:40002:{socket}", far.address)
    assert "NOAUTH" not in balancer.run("cat /run/asked").stdout
    assert journal(far, refusal) > before


def test_no_agent_no_x11_no_network_device(stack: Stack) -> None:
    """sshd keeps silent where it does not forward an agent; it tells a verbose client what a key's options allow."""
    done = ssh(stack.host("lb1"), "-v -o SessionType=default -A -X", "id")
    assert "uid=" not in done.stdout
    (allowed,) = {line.partition("key options: ")[2] for line in done.stderr.splitlines() if "key options: " in line}
    assert set(allowed.split()) <= {"command", "permitopen", "port-forwarding", "restrict"}
    effective = stack.host("worker1").run(f"/usr/sbin/sshd -T -C user={USER},host=client,addr=192.0.2.1").stdout
    for keyword in ("x11forwarding", "allowagentforwarding", "permittunnel", "allowstreamlocalforwarding"):
        assert f"{keyword} no\n" in effective


def test_no_password_is_asked_for(stack: Stack) -> None:
    done = ssh(
        stack.host("lb1"),
        "-v -o PubkeyAuthentication=no -o PasswordAuthentication=yes -o KbdInteractiveAuthentication=yes "
        "-o PreferredAuthentications=password,keyboard-interactive -o BatchMode=no -o NumberOfPasswordPrompts=1",
        "</dev/null",
    )
    assert done.returncode == REFUSED
    assert "Authentications that can continue: publickey\n" in done.stderr
    assert "Permission denied (publickey)." in done.stderr


def test_account_has_no_password_and_no_shell(stack: Stack) -> None:
    for name in ("app1", "lb1", "worker1"):
        host = stack.host(name)
        _, _, _, _, _, home, shell = host.run(f"getent passwd {USER}").stdout.strip().split(":")
        assert (home, shell) == ("/nonexistent", "/usr/sbin/nologin")
        assert host.run(f"getent shadow {USER}").stdout.split(":")[1].startswith("!")


def test_key_works_from_its_host_only(stack: Stack) -> None:
    app, balancer = stack.host("app1"), stack.host("lb1")
    stolen = "/run/stolen"
    app.run(f"umask 077; cat >{stolen}", stdin=balancer.run(f"cat {KEY}").stdout)
    before = journal(stack.host("worker1"), "correct key but not from a permitted host")
    try:
        done = plain(app, f"-W 127.0.0.1:{PORT}", stack.host("worker1").address, key=stolen)
    finally:
        app.run(f"rm {stolen}")
    assert done.returncode == REFUSED
    assert "Permission denied" in done.stderr
    assert journal(stack.host("worker1"), "correct key but not from a permitted host") == before + 1


def test_key_opens_no_other_account(stack: Stack) -> None:
    for user in ("root", "ops"):
        done = ssh(stack.host("lb1"), f"-o SessionType=default -o User={user}", "id")
        assert done.returncode == REFUSED
        assert "Permission denied" in done.stderr


def test_key_file_is_for_root_and_the_unit(stack: Stack) -> None:
    balancer = stack.host("lb1")
    assert balancer.run(f"stat -c '%a %U:%G' {KEY}").stdout == "600 root:root\n"
    assert balancer.run(["setpriv", f"--reuid={USER}", "--clear-groups", "cat", KEY], check=False).returncode != 0


@pytest.mark.parametrize("pins", ["wrong", "none"])
def test_far_host_has_to_be_the_pinned_one(stack: Stack, pins: str) -> None:
    balancer = stack.host("lb1")
    # The key of another host under this one's name.
    balancer.run(f"grep -v ^{stack.host('worker1').address} {DIRECTORY}/known_hosts >/run/pins")
    if pins == "wrong":
        balancer.run(f"sed -i 's/^[^ ]*/{stack.host('worker1').address}/' /run/pins")
    done = ssh(balancer, "-o UserKnownHostsFile=/run/pins -o SessionType=none -W 127.0.0.1:30379", "</dev/null")
    assert done.returncode == REFUSED
    assert "Host key verification failed" in done.stderr


def test_unit_is_confined(stack: Stack) -> None:
    balancer = stack.host("lb1")
    said = balancer.run(
        "systemd-analyze security --no-pager 'cache-service-tunnel-k8s@worker1.example.com-30378.service'"
    )
    exposure = float(said.stdout.splitlines()[-1].partition(": ")[2].split()[0])
    assert exposure < 2.0, said.stdout
