"""The stack that tests of Redis and Valkey break and change: a lab of its own, and clients of every kind."""

from __future__ import annotations

import json
import shlex
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Final

import redis
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from redis.backoff import NoBackoff
from redis.retry import Retry

from lab.machine import LabHost
from tests.integration.support import Outcome, Project

PREFIX: Final = "sdt-redis"
HOSTS: Final = ("redis1", "redis2", "redis3", "redis4", "redis5", "redis6", "outsider")
LAB: Final = {
    "prefix": PREFIX,
    "hosts": list(HOSTS),
    "subnet": "10.203.54.0/24",
    "subnet6": "fd5d:7a1e:203:54::/64",
    "cache": None,
}
_PROGRAM: Final = Path(__file__).with_name("program.py")
_SCAN: Final = """
import socket, sys
for port in range(1, 65536):
    with socket.socket() as one:
        one.settimeout(1)
        if one.connect_ex((sys.argv[1], port)) == 0:
            print(port)
"""
NEVER_AGAIN: Final = Retry(NoBackoff(), 0)


@dataclass(frozen=True)
class Identity:
    """What a client shows of itself, as files.

    Attributes:
        root: Certificates that it trusts.
        certificate: Its own; None for none.
        key: The key of that.
    """

    root: Path
    certificate: Path | None = None
    key: Path | None = None

    def options(self) -> dict[str, Any]:
        """What redis-py calls them."""
        named = {"ssl_ca_certs": str(self.root), "ssl_cert_reqs": "required", "ssl_check_hostname": True}
        if self.certificate and self.key:
            named |= {"ssl_certfile": str(self.certificate), "ssl_keyfile": str(self.key)}
        return {"ssl": True, **named}


@dataclass
class Load:
    """Clients that never try again: what they did, and everything that went wrong."""

    requests: int = 0
    connections: int = 0
    errors: list[str] = field(default_factory=list)


class Stack:
    """The stack and its hosts.

    Attributes:
        project: Its Pulumi project.
        files: Folder of the clients' certificates.
    """

    def __init__(self, directory: Path) -> None:
        self.files = directory / "files"
        self.files.mkdir(parents=True)
        (directory / "project").mkdir()
        self.project = Project.create(directory / "project", _PROGRAM.read_text(), {"lab": LAB}, lab=PREFIX)
        self.project.up()

    def host(self, name: str) -> LabHost:
        """One of its hosts."""
        return LabHost(name, PREFIX)

    def address(self, host: str) -> str:
        """The IPv4 address of a host."""
        return f"10.203.54.{11 + HOSTS.index(host)}"

    @property
    def gateway(self) -> str:
        """The address from which this machine reaches the hosts."""
        return "10.203.54.1"

    def up(self, config: Mapping[str, Any] | None, *, check: bool = True, **more: Any) -> Outcome:
        """Bring Redis to this configuration; None removes it."""
        redis_config = {} if config is None else {"redis": config}
        self.project.configure({"lab": LAB, **redis_config, **more})
        outcome = self.project.up(check=check)
        if config is not None and outcome.code == 0:
            self.outputs = self.project.outputs()["redis"]
        return outcome

    def lose(self, host: str) -> None:
        """With the next `up` an empty machine takes the place of this one: same name, addresses and keys."""
        urns = (each["urn"] for each in self._state())
        (container,) = (urn for urn in urns if urn.endswith(f"Container::lab-{host}"))
        self.project.pulumi("state", "taint", container)

    def _state(self) -> list[dict[str, Any]]:
        exported = self.project.pulumi("stack", "export", "--show-secrets").text
        return list(json.loads(exported)["deployment"]["resources"])

    @property
    def client(self) -> Identity:
        """The clients' certificate as the stack's outputs have it now."""
        texts = {"root": "authority", "client": "clientCertificate", "key": "clientKey"}
        paths = {name: self.files / f"{name}.pem" for name in texts}
        for name, output in texts.items():
            paths[name].write_text(self.outputs[output])
        return Identity(paths["root"], paths["client"], paths["key"])

    def authority(self) -> tuple[x509.Certificate, Any]:
        """The authority's certificate and key, from the state, to make certificates that it would never make."""
        texts = {each["urn"].rpartition("::")[2]: each["outputs"] for each in self._state() if "::root-" in each["urn"]}
        key = texts["root-key-1"]["privateKeyPem"]
        text = json.loads(key["plaintext"]) if isinstance(key, dict) else key
        certificate = x509.load_pem_x509_certificate(texts["root-root-1"]["certPem"].encode())
        return certificate, serialization.load_pem_private_key(text.encode(), None)

    def connect(self, host: str, *, identity: Identity | None = None, port: int = 6379, **options: Any) -> Any:
        """A client of one node as `app`; it never tries again."""
        given = {"username": "app", "password": self.outputs["passwords"].get("app"), **options}
        known = (identity or self.client).options()
        return redis.Redis(self.address(host), port, retry=NEVER_AGAIN, socket_timeout=5, **known, **given)

    def cli(self, host: str, command: str, *, sees: str = "redis", at: str | None = None) -> CompletedProcess[str]:
        """Run redis-cli or valkey-cli on a host, with the certificates that are there."""
        tls = f"/etc/{sees}/tls/client"
        return self.host(host).run(
            f"{sees}-cli -h {at or self.address(host)} {command.format(tls=tls)} 2>&1", check=False
        )

    def on_host(self, host: str, command: str, *, flavour: str = "redis") -> str:
        """What a shell on a host says that knows what the component's scripts there know."""
        library = f"/usr/local/lib/{flavour}-tls"
        script = f". {library}/client.sh; {command}"
        return self.host(host).run(["sh", "-c", script, f"{library}/node"]).stdout.strip()

    def manager(self, host: str, *words: str, flavour: str = "redis") -> str:
        """What a server answers its manager."""
        return self.on_host(host, f"ask {shlex.join(words)}", flavour=flavour)

    def open_ports(self, host: str) -> set[int]:
        """Every TCP port of a host that takes a connection from the outsider."""
        told = self.host("outsider").run(["python3", "-c", _SCAN, self.address(host)]).stdout
        return {int(word) for word in told.split()}

    @contextmanager
    def load(self, host: str, *, lasting: int = 3) -> Iterator[Load]:
        """Work beside what happens in the block: some clients in one connection each, one in a new one every time.

        The lasting ones have what was known when they began; the others read it anew, as a client that starts does.
        """
        load, over = Load(), threading.Event()
        clients = [self.connect(host, single_connection_client=True) for _ in range(lasting)]

        def last(number: int) -> None:
            key = f"load:{number}"
            value = int(clients[number].get(key) or 0)
            while not over.wait(0.002):
                try:
                    value += 1
                    if (got := clients[number].incr(key)) != value:
                        load.errors.append(f"lasting {number}: {got} instead of {value}")
                    load.requests += 1
                except (redis.RedisError, ssl.SSLError, OSError) as error:
                    load.errors.append(f"lasting {number}: {error!r}")
                    return

        def come_and_go() -> None:
            known = self.client
            password = self.outputs["passwords"]["app"]
            while not over.wait(0.02):
                try:
                    with self.connect(host, identity=known, password=password) as client:
                        client.ping()
                    load.connections += 1
                except (redis.RedisError, ssl.SSLError, OSError) as error:
                    load.errors.append(f"passing: {error!r}")

        threads = [threading.Thread(target=last, args=(each,)) for each in range(lasting)]
        threads.append(threading.Thread(target=come_and_go))
        for thread in threads:
            thread.start()
        try:
            yield load
        finally:
            over.set()
            for thread in threads:
                thread.join()
