"""Settings of the sealed cache service, and what cannot work across its parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator

from components.haproxy_load_balancer import (
    Balance,
    DefaultServer,
    HaproxySettings,
    HealthCheck,
    Protocol,
    Timeouts,
)
from components.settings import (
    HostName,
    InvalidConfigurationError,
    Location,
    Port,
    Problem,
    Settings,
    Some,
    property_path,
    refuse,
)
from components.ssh_tunnel_host import SshTunnelSettings, Target, Timing
from components.ssh_tunnel_host.settings import LocalPort, TunnelAccount, UnitName

#: The variable under which HAProxy's health check knows the cache's password.
PASSWORD: Final = "CACHE_SERVICE_PASSWORD"  # noqa: S105 - a name
_FRONTEND: Final = "haproxy_cache_service"
_BACKEND: Final = "masters_cache_service"


# What stands in an address without quoting, so that it is the same for a reader, a shell and the vendor's script.
_DEPLOYMENT: Final = re.compile(r"https://[A-Za-z0-9.-]+(:\d{1,5})?(/[A-Za-z0-9._~/-]*)?")
_SCRIPT: Final = re.compile(r"/[^\x00-\x1f\x7f]*")
_ADMINISTRATOR: Final = re.compile(r"[\w.@+-]{1,128}", re.ASCII)


def _deployment(url: str) -> str:
    if not _DEPLOYMENT.fullmatch(url):
        # It may hold a password: only as much is shown as tells nothing.
        raise ValueError("this is no address of a deployment: give https://HOST, without a user or a query")
    return url


def _script(path: str) -> str:
    if not _SCRIPT.fullmatch(path):
        raise ValueError(f"{path!r} is no path of a script: give an absolute path")
    return path


def _administrator(name: str) -> str:
    if not _ADMINISTRATOR.fullmatch(name):
        raise ValueError(f"{name!r} is no user name: use letters, digits, '.', '_', '@', '+' and '-'")
    return name


def _one_line(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text or not text.isprintable():
        raise ValueError("is empty, or holds a line break or another control character: give a password of one line")
    return secret


Password = Annotated[SecretStr, AfterValidator(_one_line)]


class WorkerSettings(Settings):
    """A Kubernetes worker that offers the cache service on its NodePort.

    Attributes:
        host: Host of the stack.
        local_port: Port of this worker's tunnel on the load balancer; each worker has its own.
        name: Its name in units and in haproxy.cfg; default the host's name in the stack.
        target: `loopback` (default), or `address` where kube-proxy does not answer on loopback (IPVS, nftables).
    """

    host: str
    local_port: LocalPort
    name: HostName | None = None
    target: Target = Target.LOOPBACK

    @property
    def label(self) -> str:
        """`name` with its default."""
        return self.name or self.host


class ConnectionsSettings(Settings):
    """The application's own configuration, by the vendor's script.

    Attributes:
        host: Host of the stack on which the script lies.
        script: Its absolute path there.
        url: The deployment's https URL (`-ic`).
        user: Administrator (`-ic_u`).
        password: The administrator's password (`-ic_p`, secret).
        timeout: Seconds that the script may take, default 600.
    """

    host: str
    script: Annotated[str, AfterValidator(_script)]
    url: Annotated[str, AfterValidator(_deployment)]
    user: Annotated[str, AfterValidator(_administrator)]
    password: Password
    timeout: int = Field(default=600, ge=1, le=3600)


class CacheServiceSettings(Settings):
    """From each application host's loopback to the cache, with plaintext on loopback only.

    Attributes:
        application_hosts: Hosts of the applications.
        load_balancer: Host that runs HAProxy.
        workers: Kubernetes workers, at least one; two to survive the loss of one.
        other_nodes: Hosts of the same cluster to which no tunnel leads, such as its control plane. Kubernetes opens the
            NodePort there too; the stack's firewall closes it. Default none.
        port: Port on every application host's and on the load balancer's loopback, default 30379.
        node_port: NodePort of the cache service on the workers, default 30379.
        password: The cache's password (secret), with which health checks log in.
        user: System account of the tunnels.
        application_unit: systemd unit on application hosts.
        worker_unit: systemd template on the load balancer, with an instance a worker.
        key_generation: Raise it to rotate every tunnel key.
        balance: How HAProxy chooses a worker, default `roundrobin`.
        timing: How soon a dead tunnel is replaced.
        timeouts: HAProxy's timeouts; the client's is the vendor's 10800 s.
        default_server: How HAProxy checks and limits each worker.
        connections: The application's own configuration; default none: it is left to its administrator.
    """

    application_hosts: Some[str]
    load_balancer: str
    workers: Some[WorkerSettings]
    other_nodes: tuple[str, ...] = ()
    port: LocalPort = 30379
    node_port: Port = 30379
    password: Password | None = None
    user: TunnelAccount = "cache-service-tunnel"
    application_unit: UnitName = "cache-service-tunnel-websphere"
    worker_unit: UnitName = "cache-service-tunnel-k8s@"
    key_generation: int = Field(default=1, ge=1)
    balance: Balance = Balance.ROUNDROBIN
    timing: Timing = Timing()
    timeouts: Timeouts = Timeouts()
    default_server: DefaultServer = DefaultServer()
    connections: ConnectionsSettings | None = None

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every host on which Kubernetes opens the NodePort, the workers first."""
        return (*(worker.host for worker in self.workers), *self.other_nodes)

    def refuse_unknown_hosts(self, known: Collection[str], where: str) -> None:
        """Refuse hosts that the stack does not have.

        Args:
            known: Names of the stack's hosts.
            where: Property path of these settings.

        Raises:
            InvalidConfigurationError: With every one of them.
        """
        names = ", ".join(sorted(known)) or "none is configured"
        problems = [
            f"{property_path(where, path)}: {host!r} is no host of this stack: use one of {names}"
            for path, host in self._host_references()
            if host not in known
        ]
        if problems:
            raise InvalidConfigurationError(problems)

    def tunnels(self) -> SshTunnelSettings:
        """The tunnels on both sides of the load balancer."""
        to_balancer = {"server": self.load_balancer, "localPort": self.port, "targetPort": self.port}
        to_workers = [
            {
                "server": worker.host,
                "name": worker.name,
                "localPort": worker.local_port,
                "targetPort": self.node_port,
                "target": worker.target,
            }
            for worker in self.workers
        ]
        applications: list[dict[str, Any]] = [
            {"host": host, "unit": self.application_unit, "tunnels": [to_balancer]} for host in self.application_hosts
        ]
        balancer = {"host": self.load_balancer, "unit": self.worker_unit, "tunnels": to_workers}
        return SshTunnelSettings.model_validate(
            {
                "clients": [*applications, balancer],
                "user": self.user,
                "keyGeneration": self.key_generation,
                "timing": self.timing,
            }
        )

    def haproxy(self) -> HaproxySettings:
        """The load balancer between the tunnels."""
        frontend = {"name": _FRONTEND, "binds": [{"port": self.port}], "defaultBackend": _BACKEND}
        backend = {
            "name": _BACKEND,
            "servers": [{"name": worker.label, "port": worker.local_port} for worker in self.workers],
            "balance": self.balance,
            "defaultServer": self.default_server,
            "healthCheck": HealthCheck(protocol=Protocol.REDIS, password=PASSWORD),
        }
        return HaproxySettings.model_validate(
            {"frontends": [frontend], "backends": [backend], "timeouts": self.timeouts}
        )

    def _host_references(self) -> Iterator[tuple[Location, str]]:
        yield from ((("applicationHosts", at), host) for at, host in enumerate(self.application_hosts))
        yield ("loadBalancer",), self.load_balancer
        yield from ((("workers", at, "host"), worker.host) for at, worker in enumerate(self.workers))
        yield from ((("otherNodes", at), host) for at, host in enumerate(self.other_nodes))
        if self.connections is not None:
            yield ("connections", "host"), self.connections.host

    @model_validator(mode="after")
    def _parts_fit(self) -> CacheServiceSettings:
        refuse([*self._application_problems(), *self._worker_problems(), *self._other_node_problems()])
        # What the parts refuse is told in this component's own terms, at the time when everything else is told.
        refuse(_problems_of(self.tunnels, self._from_tunnels))
        refuse(_problems_of(self.haproxy, _from_haproxy))
        return self

    def _application_problems(self) -> Iterator[Problem]:
        for number, host in enumerate(self.application_hosts):
            here = ("applicationHosts", number)
            if host == self.load_balancer:
                yield here, f"{host!r} is the load balancer too: a tunnel needs two hosts"
            elif (first := self.application_hosts.index(host)) != number:
                yield here, f"{host!r} is applicationHosts[{first}] too: remove one"
            elif host in self.nodes and self.port == self.node_port:
                text = f"{self.port} is the NodePort of {host!r}, which is an application host too: choose another port"
                yield ("port",), text

    def _worker_problems(self) -> Iterator[Problem]:
        hosts = [worker.host for worker in self.workers]
        labels = [worker.label for worker in self.workers]
        ports = {self.port: "port, where HAProxy listens"}
        for number, worker in enumerate(self.workers):
            here = ("workers", number)
            if worker.host == self.load_balancer:
                yield (*here, "host"), f"{worker.host!r} is the load balancer too: a tunnel needs two hosts"
            if (first := hosts.index(worker.host)) != number:
                yield (*here, "host"), f"{worker.host!r} is workers[{first}].host too: remove one"
            elif (first := labels.index(worker.label)) != number:
                yield (*here, "name"), f"{worker.label!r} is the name of workers[{first}] too: give each its own"
            mine = f"workers[{number}].localPort"
            if (other := ports.setdefault(worker.local_port, mine)) != mine:
                yield (*here, "localPort"), f"{worker.local_port} is taken by {other}: give each its own"

    def _other_node_problems(self) -> Iterator[Problem]:
        for number, host in enumerate(self.other_nodes):
            if (first := self.nodes.index(host)) < len(self.workers):
                yield ("otherNodes", number), f"{host!r} is workers[{first}].host too: remove one"
            elif self.other_nodes.index(host) != number:
                yield ("otherNodes", number), f"{host!r} is listed twice: remove one"
            elif host == self.load_balancer and self.port == self.node_port:
                text = f"{self.port} is the NodePort of {host!r}, which is the load balancer too: choose another port"
                yield ("port",), text

    def _from_tunnels(self, location: Location) -> Location:
        """Translate a location in `tunnels()`."""
        balancer = len(self.application_hosts)
        match location:
            case ("clients", number, "unit"):
                return ("workerUnit",) if number == balancer else ("applicationUnit",)
            case ("clients", number, "tunnels", at, key) if number == balancer:
                return ("workers", at, "host" if key == "server" else key)
            case ("clients", _, "tunnels", _, "server"):
                return ("loadBalancer",)
        return ()


def _from_haproxy(location: Location) -> Location:
    """Translate a location in `haproxy()`."""
    match location:
        case ("backends", _, "servers", at, *rest):
            return ("workers", at, *rest)
        case ("backends", _, *rest):
            return tuple(rest)
        case ("frontends", *_):
            return ("port",)
    return location


def _problems_of(part: Callable[[], Settings], translate: Callable[[Location], Location]) -> list[Problem]:
    """Return what a part refuses; what it says of several of its own places may be one place here."""
    try:
        part()
    except ValidationError as error:
        texts = [str(each.get("ctx", {}).get("error") or each["msg"]) for each in error.errors()]
        places = [translate(each["loc"]) for each in error.errors()]
        return list(dict.fromkeys(zip(places, texts, strict=True)))
    return []
