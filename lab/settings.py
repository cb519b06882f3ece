"""What a lab consists of, as the stack's configuration says it."""

from __future__ import annotations

import os
import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from components.settings import HostName, Port, Settings, refuse

_NAME: Final = re.compile(r"^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$")
_FIRST_HOST: Final = 11
"""The first host's number in the subnet; the lower ones are Docker's gateway and room for virtual IPs."""
POD_SUBNET: Final = IPv4Network("10.244.0.0/16")
SERVICE_SUBNET: Final = IPv4Network("10.96.0.0/16")
"""Where a cluster has its pods and its services; also in lab/cluster/image."""
KUBECONFIG: Final = "KUBECONFIG"
"""The environment variable by which kubectl and others find a cluster."""
NODE_PORTS: Final = range(30000, 32768)
"""What Kubernetes opens on its nodes unless it is told otherwise."""
_UNIQUE_LOCAL: Final = IPv6Network("fc00::/7")

CACHE: Final = "cache"
CLUSTER: Final = "cluster"
GATE: Final = "ready"
"""What the lab's containers are called that are no hosts; a host cannot have their names."""

LAB_LABEL: Final = "sealed-data-tier.lab"
"""On everything in Docker that belongs to a lab; its value is the lab's prefix."""
HOST_LABEL: Final = "sealed-data-tier.host"
"""On every host's container; its value is the host's name."""
NODE_LABEL: Final = "sealed-data-tier.node"
"""On the container of every node of a cluster; its value is `control-plane` or `worker`."""
CONTROL_PLANE: Final = "control-plane"
WORKER: Final = "worker"


def _name(name: str) -> str:
    if _NAME.match(name) and name not in (CACHE, CLUSTER, GATE):
        return name
    raise ValueError(
        f"{name!r} cannot name a host or a lab: use lower-case letters, digits and '-', and not {CACHE!r}, "
        f"{CLUSTER!r} or {GATE!r}"
    )


Name = Annotated[str, AfterValidator(_name)]


class CacheSettings(Settings):
    """The one Valkey that several hosts offer on a loopback port, as a Kubernetes NodePort would.

    Where the lab builds a cluster, it is in that, and the port is a NodePort.

    Attributes:
        workers: The hosts that offer it; for labs that build no cluster, since every node of one does.
        port: The port on their loopback addresses, IPv4 and IPv6; of a cluster's nodes, on every IPv4 address.
    """

    workers: tuple[Name, ...] = ("worker1", "worker2")
    port: Port = 30379


class ClusterSettings(Settings):
    """A Kubernetes cluster beside the hosts.

    Attributes:
        source: `built`, the default: on hosts of the lab, each of which takes pods, from package registries alone.
            `kubeconfig`: one that exists, for example of kind.
        control_plane: Of a built one, the host with etcd, API server, controller manager and scheduler.
        workers: Of a built one, the other nodes.
        kubeconfig: Of one that exists, the file by which an administrator reaches it; default: the one that the
            environment variable KUBECONFIG names.
    """

    source: Literal["built", "kubeconfig"] = "built"
    control_plane: Name = "control"
    workers: tuple[Name, ...] = ("worker1",)
    kubeconfig: Path | None = None

    @property
    def nodes(self) -> tuple[str, ...]:
        """The hosts of the lab that are nodes, the control plane first."""
        return (self.control_plane, *self.workers) if self.source == "built" else ()

    @property
    def file(self) -> Path | None:
        """The file by which one that exists is reached, with KUBECONFIG looked up."""
        if self.source == "built":
            return None
        named = os.environ.get(KUBECONFIG)
        return self.kubeconfig or (Path(named) if named else None)

    def pods(self, node: str) -> IPv4Network:
        """The subnet of a node's pods."""
        return list(POD_SUBNET.subnets(new_prefix=24))[self.nodes.index(node) + 1]

    @model_validator(mode="after")
    def _can_be_had(self) -> ClusterSettings:
        file, named = self.file, "" if self.kubeconfig else f", which {KUBECONFIG} names,"
        if self.source == "built":
            problem = "is read by nobody with source: built" if self.kubeconfig else None
        elif not file:
            problem = (
                f"is missing with source: kubeconfig, and {KUBECONFIG} is not set: name the file in either, or build a "
                "cluster with source: built"
            )
        elif named and os.pathsep in str(file):
            problem = f"is missing, and {KUBECONFIG} names several files: name one of {file} here"
        elif not file.is_file():
            problem = f"{file}{named} is no file: make the cluster first, or build one with source: built"
        else:
            problem = None
        if problem:
            refuse([(("kubeconfig",), problem)])
        return self


class LabSettings(Settings):
    """One lab; two with different prefixes and subnets live side by side on one machine.

    Attributes:
        prefix: Begins the names of everything in Docker: host `app1` is container `<prefix>-app1`.
        hosts: The hosts. An address follows from the place in this list: append, and those before keep theirs.
        domain: Every host knows all others as `<host>` and `<host>.<domain>`.
        subnet: The private IPv4 network of the lab; free on this machine.
        subnet6: A unique-local IPv6 network, where hosts are known as `<host>.ipv6.<domain>`; null for none.
        cache: The cache service behind the workers; null for none.
        cluster: A Kubernetes cluster; null, the default, for none.
    """

    prefix: Name = "sealed-data-tier"
    hosts: Annotated[tuple[Name, ...], Field(min_length=1)] = ("app1", "app2", "lb1", "worker1", "worker2", "outsider")
    domain: HostName = "example.com"
    subnet: IPv4Network = IPv4Network("10.203.17.0/24")
    subnet6: IPv6Network | None = IPv6Network("fd5d:7a1e:203:17::/64")
    cache: CacheSettings | None = CacheSettings()
    cluster: ClusterSettings | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> LabSettings:
        if twice := sorted({host for host in self.hosts if self.hosts.count(host) > 1}):
            raise ValueError(f"hosts {', '.join(twice)} are listed twice: name each host once")
        if self.cluster:
            self._has_room_for(self.cluster)
        if self.cache:
            self._can_have(self.cache)
        if not self.subnet.is_private:
            raise ValueError(f"subnet {self.subnet} is public: use one of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
        if self.subnet6 and not self.subnet6.subnet_of(_UNIQUE_LOCAL):
            raise ValueError(f"subnet6 {self.subnet6} is not unique-local: use a /64 of fd00::/8, or null")
        room = self.subnet.num_addresses - _FIRST_HOST - 1
        if len(self.hosts) > room:
            raise ValueError(f"subnet {self.subnet} has room for {max(room, 0)} hosts, not {len(self.hosts)}: widen it")
        return self

    def _has_room_for(self, cluster: ClusterSettings) -> None:
        nodes = ", ".join(cluster.nodes)
        if len(set(cluster.nodes)) < len(cluster.nodes):
            raise ValueError(f"cluster nodes {nodes} name a host twice: name each host once")
        if strangers := sorted(set(cluster.nodes) - set(self.hosts)):
            raise ValueError(
                f"cluster nodes {', '.join(strangers)} are not in hosts: add them there, or set cluster to null"
            )
        for taken in (POD_SUBNET, SERVICE_SUBNET):
            if self.subnet.overlaps(taken):
                raise ValueError(f"subnet {self.subnet} overlaps {taken}, which is the cluster's: use another subnet")

    def _can_have(self, cache: CacheSettings) -> None:
        if self.nodes and "workers" in cache.model_fields_set:
            raise ValueError("cache.workers is read by nobody with a cluster, whose nodes all offer it: leave it out")
        if self.nodes and cache.port not in NODE_PORTS:
            ports = f"{NODE_PORTS[0]} to {NODE_PORTS[-1]}"
            raise ValueError(f"cache.port {cache.port} is no NodePort, which it is with a cluster: use one of {ports}")
        if strangers := sorted(set(() if self.nodes else cache.workers) - set(self.hosts)):
            raise ValueError(
                f"cache.workers {', '.join(strangers)} are not in hosts: add them there, or set cache to null"
            )

    @property
    def nodes(self) -> tuple[str, ...]:
        """The hosts of the cluster, the control plane first; none where there is no cluster."""
        return self.cluster.nodes if self.cluster else ()

    def container(self, host: str) -> str:
        """The name of a host's container."""
        return f"{self.prefix}-{host}"

    def address(self, host: str) -> str:
        """A host's IPv4 address."""
        return str(self.subnet[_FIRST_HOST + self.hosts.index(host)])

    def address6(self, host: str) -> str | None:
        """A host's IPv6 address, where the lab has IPv6."""
        return str(self.subnet6[_FIRST_HOST + self.hosts.index(host)]) if self.subnet6 else None

    def names(self, host: str) -> dict[str, list[str]]:
        """A host's addresses, each with the names by which the other hosts know it."""
        names = {self.address(host): [f"{host}.{self.domain}", host]}
        if address6 := self.address6(host):
            names[address6] = [f"{host}.ipv6.{self.domain}"]
        return names

    def labels(self) -> dict[str, str]:
        """What everything in Docker that belongs to this lab is labelled with."""
        return {LAB_LABEL: self.prefix}
