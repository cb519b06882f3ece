"""The stack that these tests break: a group of Redis under Sentinel, and the load balancer that clients dial."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lab.machine import LabHost
from tests.integration.haproxy.balancer import Balancer
from tests.integration.redis_tls.stack import Identity
from tests.integration.support import Project, wait_for

PREFIX: Final = "sdt-haredis"
NODES: Final = ("redis1", "redis2", "redis3")
LAB: Final = {
    "prefix": PREFIX,
    "hosts": [*NODES, "lb1"],
    "subnet": "10.203.55.0/24",
    "subnet6": None,
    "cache": None,
}
ADDRESS: Final = "10.203.55.14"
GROUP: Final[dict[str, Any]] = {
    "topology": "sentinel",
    "name": "orders",
    "nodes": [
        {"host": name, "address": f"10.203.55.{number}", "names": [ADDRESS, "lb1.example.com"]}
        for number, name in enumerate(NODES, start=11)
    ],
    "users": [{"name": "app"}, {"name": "haproxy", "rules": ["+ping", "+info"]}],
}
_PROGRAM: Final = Path(__file__).with_name("program.py")


@dataclass
class Writer:
    """An application that writes numbers through the load balancer, and dials again when it is cut off.

    Attributes:
        written: Numbers whose writing was acknowledged.
        errors: What it was told when it was not.
        servers: Common names of the certificates that it was shown, in the order of its connections.
    """

    written: list[int] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    servers: list[str] = field(default_factory=list)


class Front:
    """The stack and its hosts.

    Attributes:
        project: Its Pulumi project.
        balancer: HAProxy on its host.
    """

    def __init__(self, directory: Path) -> None:
        self.files = directory / "files"
        self.files.mkdir(parents=True)
        (directory / "project").mkdir()
        self.project = Project.create(directory / "project", _PROGRAM.read_text(), {"lab": LAB}, lab=PREFIX)
        self.project.up()
        self.balancer = Balancer(self.host("lb1"))

    def host(self, name: str) -> LabHost:
        """One of its hosts."""
        return LabHost(name, PREFIX)

    def up(self, **config: Any) -> None:
        """Bring the stack to this configuration."""
        self.project.configure({"lab": LAB, "redis": GROUP, **config})
        self.project.up()
        self.outputs = self.project.outputs()["redis"]
        for path, output in zip(self._paths, ("authority", "clientCertificate", "clientKey"), strict=True):
            if not path.exists():  # whoever writes beside an `up` reads them
                path.write_text(self.outputs[output])

    @property
    def _paths(self) -> tuple[Path, Path, Path]:
        return self.files / "root.pem", self.files / "client.pem", self.files / "key.pem"

    @property
    def identity(self) -> Identity:
        """The clients' certificate."""
        return Identity(*self._paths)

    def connect(self, address: str = ADDRESS, *, identity: Identity | None = None, **options: Any) -> Any:
        """A client as `app`, by default of the load balancer; it never tries again, and gives up after 5 s."""
        given = {"username": "app", "password": self.outputs["passwords"]["app"], **options}
        known = (identity or self.identity).options()
        return redis.Redis(address, 6379, retry=Retry(NoBackoff(), 0), socket_timeout=5, **known, **given)

    def states(self) -> dict[str, str]:
        """What HAProxy thinks of each server: `UP`, `DOWN` or on its way."""
        rows = self.balancer.statistics("orders")
        return {name: rows[name]["status"] for name in NODES}

    def serving(self) -> list[str]:
        """Servers that are up."""
        return [name for name, state in self.states().items() if state.startswith("UP")]

    def refused(self, why: str) -> list[str]:
        """Servers whose last check ended with these words."""
        rows = self.balancer.statistics("orders")
        return [name for name in NODES if why in rows[name]["last_chk"]]

    def sessions(self) -> dict[str, int]:
        """Connections that each server was given so far."""
        rows = self.balancer.statistics("orders")
        return {name: int(rows[name]["stot"]) for name in NODES}

    def primary(self) -> str:
        """The one server that says it is the primary, asked without the load balancer."""
        return next(name for name in NODES if self.role(name) == "master")

    def role(self, node: str) -> str:
        """What a server says that it is; empty where it does not answer."""
        with contextlib.suppress(redis.RedisError, OSError), self.connect(_address(node)) as client:
            return str(client.info("replication")["role"])
        return ""

    def replicas(self) -> int:
        """Replicas in sync, as the server says to which the load balancer leads; 0 where it leads to none."""
        with contextlib.suppress(redis.RedisError, OSError), self.connect() as client:
            told = client.info("replication")
            return sum(isinstance(each, dict) and each.get("state") == "online" for each in told.values())
        return 0

    def well(self) -> bool:
        """Whether clients are led to a primary with all its replicas."""
        return len(self.serving()) == 1 and self.replicas() == len(NODES) - 1

    def settle(self) -> None:
        """Wait until it is well."""
        wait_for(self.well, 120)

    @contextmanager
    def writes(self, prefix: str) -> Iterator[Writer]:
        """Write beside what happens in the block, and go on until a write has passed after it."""
        writer, over = Writer(), threading.Event()

        def write() -> None:
            number = 0
            while not over.is_set():
                with contextlib.closing(self.connect()) as client:
                    try:
                        writer.servers.append(_shown(client))
                        while not over.is_set():
                            number += 1
                            client.set(f"{prefix}:{number}", number)
                            writer.written.append(number)
                            time.sleep(0.005)
                    except (redis.RedisError, OSError) as error:
                        writer.errors.append(error)
                        time.sleep(0.05)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            wait_for(lambda: writer.written)
            yield writer
            known = len(writer.written)
            wait_for(lambda: len(writer.written) > known)
        finally:
            over.set()
            thread.join()


def _address(node: str) -> str:
    return f"10.203.55.{11 + NODES.index(node)}"


def _shown(client: Any) -> str:
    """The common name of the certificate that a client was shown."""
    connection = client.connection_pool.get_connection()
    try:
        subject = connection._sock.getpeercert()["subject"]
        return str(dict(pair for part in subject for pair in part)["commonName"])
    finally:
        client.connection_pool.release(connection)
