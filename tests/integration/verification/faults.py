"""Faults that verification has to find, each put right again at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from lab.machine import LabHost

SUPERVISED_S: Final = 20
_UNIT: Final = "verification-fault"


@contextmanager
def opened(host: LabHost, address: str, port: int) -> Iterator[None]:
    """Make a port that answers on loopback answer on another address too, as a careless administrator would."""
    # BindIPv6Only: or else "::" would take the port of every IPv4 address as well.
    socket = [f"--socket-property=ListenStream={_endpoint(address, port)}", "--socket-property=BindIPv6Only=ipv6-only"]
    with _running(host, *socket, "/usr/lib/systemd/systemd-socket-proxyd", f"127.0.0.1:{port}"):
        wait(host, f"ss -Hltn 'sport = :{port}' | grep -F '{_endpoint(address, port)}'")
        yield


@contextmanager
def impostor(host: LabHost, port: int) -> Iterator[None]:
    """Have another program take a loopback port."""
    program = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(300)"
    with _running(host, "python3", "-c", program):
        wait(host, f"ss -Hltn 'sport = :{port}' | grep -F '127.0.0.1:{port}'")
        yield


@contextmanager
def connected(host: LabHost, address: str, port: int) -> Iterator[None]:
    """Connect from a host to an address, and stay connected."""
    with _running(host, "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}; sleep 300"):
        wait(host, f"ss -Htn state established 'dport = :{port}' | grep -F '{address}'")
        yield


@contextmanager
def _running(host: LabHost, *words: str) -> Iterator[None]:
    host.run(["systemd-run", "--quiet", "--collect", f"--unit={_UNIT}", *words])
    try:
        yield
    finally:
        host.run(["systemctl", "stop", f"{_UNIT}.socket", f"{_UNIT}.service"], check=False)


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@contextmanager
def stopped(host: LabHost, unit: str, healthy: str) -> Iterator[None]:
    """Stop a unit; `healthy` holds once it is back and well."""
    host.run(["systemctl", "stop", unit])
    try:
        yield
    finally:
        host.run(["systemctl", "start", unit])
        wait(host, healthy)


@contextmanager
def edited(host: LabHost, path: str, expression: str) -> Iterator[None]:
    """Edit a file with sed, in place; its owner and mode stay."""
    with kept(host, path):
        host.run(["sed", "--in-place", expression, path])
        yield


@contextmanager
def kept(host: LabHost, path: str) -> Iterator[None]:
    """Put a file back as it was, with its owner, mode and times."""
    copy = f"/run/verification-kept{path.replace('/', '-')}"
    host.run(["cp", "--archive", path, copy])
    try:
        yield
    finally:
        host.run(["cp", "--archive", "--remove-destination", copy, path])
        host.run(["rm", copy])


@contextmanager
def added(host: LabHost, path: str, text: str, then: str = "true") -> Iterator[None]:
    """Add a file in a new or known directory; `then` makes whoever reads it read it, also when it is gone."""
    directory = path.rpartition("/")[0]
    known = host.run(["test", "-d", directory], check=False).returncode == 0
    host.run(["mkdir", "--parents", directory])
    host.run(["tee", path], stdin=text)
    try:
        host.run(then)
        host.wait_until_up()  # an sshd that reloads is one that listens anew
        yield
    finally:
        host.run(["rm", "--force", path])
        if not known:
            host.run(["rmdir", directory])
        host.run(then)
        host.wait_until_up()


@contextmanager
def silent(host: LabHost, ports: str) -> Iterator[None]:
    """Drop whatever arrives for some ports on addresses beyond loopback, without a word."""
    # Not by interface: what a host sends to its own addresses goes through lo as well.
    rules = f"ip daddr {host.address} tcp dport {ports} drop; ip6 daddr fd00::/8 tcp dport {ports} drop;"
    chain = f"chain input {{ type filter hook input priority 0; {rules} }}"
    host.run(["nft", "-f", "-"], stdin=f"table inet verification_fault {{ {chain}; }}\n")
    try:
        yield
    finally:
        host.run(["nft", "delete", "table", "inet", "verification_fault"])


@contextmanager
def watched(host: LabHost) -> Iterator[Callable[[], str]]:
    """Look at the arguments and environments of all processes, again and again; yields what was seen."""
    file = "/run/verification-processes"
    look = f"while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; done >{file} 2>/dev/null"
    with _running(host, "sh", "-c", look):
        wait(host, f"test -s {file}")
        yield lambda: host.run(["cat", file]).stdout
    host.run(["rm", file])


def wait(host: LabHost, condition: str) -> None:
    """Wait until a condition holds on a host."""
    deadline = time.monotonic() + SUPERVISED_S
    while host.run(condition, check=False).returncode:
        assert time.monotonic() < deadline, f"{host.name}: not within {SUPERVISED_S} s: {condition}"
        time.sleep(0.2)


def carries(unit: str) -> str:
    """The condition that a tunnel carries traffic."""
    return f"systemctl show -P StatusText '{unit}' | grep -qx 'up, traffic passes'"


def manage(host: LabHost, command: str) -> None:
    """Tell the Redis server of a host something, as its manager."""
    library = "/usr/local/lib/redis-tls"
    answer = host.run(["sh", "-c", f". {library}/client.sh; ask {command}", f"{library}/node"]).stdout.strip()
    assert answer in ("OK", "1"), answer


@contextmanager
def asked(host: LabHost, change: str, undo: str) -> Iterator[None]:
    """Something is set in a running Redis server, and nowhere else."""
    manage(host, change)
    try:
        yield
    finally:
        manage(host, undo)
