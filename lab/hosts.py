"""The lab's hosts as Pulumi resources, so that the dev stack creates what the other stacks find.

Every host is one container of the image in ``lab.host_image``, on the lab's network, with a static address, a name that
the others know, a host key made here (pinned before the first connection) and one authorised key for its three users:
``ops`` (sudo without a password), ``opspw`` (sudo with one) and ``nosudo``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import pulumi
import pulumi_docker as docker
import pulumi_kubernetes as kubernetes
import pulumi_tls as tls

from components.host import HostArgs
from components.passwords import derived
from lab import cache_service, host_image
from lab.cluster import cache_service as cluster_cache_service
from lab.cluster import gate as cluster_gate
from lab.cluster import node_image
from lab.cluster.identities import Identities
from lab.settings import CACHE, CONTROL_PLANE, GATE, HOST_LABEL, NODE_LABEL, WORKER, ClusterSettings, LabSettings
from lab.uploads import upload

USERS: Final = ("ops", "opspw", "nosudo")
SSH_PORT: Final = 22
READY_SECONDS: Final = 60
"""How long the hosts may take, all together, from their creation until sshd takes logins."""

_HOST_KEY: Final = "/etc/ssh/ssh_host_ed25519_key"
# Docker cannot give SYS_RESOURCE away where it does not have it itself; systemd does without.
_CAPABILITIES: Final = docker.ContainerCapabilitiesArgs(adds=["ALL"], drops=["CAP_SYS_RESOURCE"])
_SECURITY: Final = ("seccomp=unconfined", "apparmor=unconfined")
# Names each host before it waits for that one, so that the last line tells which host was silent.
_AWAIT_SSH: Final = """\
for host; do
    echo "$host"
    until { read -r _ < "/dev/tcp/$host/22"; } 2>/dev/null; do sleep 0.1; done
done
"""


@dataclass(frozen=True, kw_only=True)
class LabArgs:
    """Arguments of a `Lab`.

    Attributes:
        settings: Hosts, names and networks.
        cache_password: Password of the cache service (secret); default: made from a key that only the state has.
        sudo_password: Password of user `opspw` (secret); default: likewise.
    """

    settings: LabSettings = field(default_factory=LabSettings)
    cache_password: pulumi.Input[str] | None = None
    sudo_password: pulumi.Input[str] | None = None


@dataclass(frozen=True, kw_only=True)
class LabEndpoint:
    """How a host of the lab is reached by SSH; the same facts that a production stack configures.

    Attributes:
        name: The host's name in the lab, for example `app1`.
        fqdn: Its full name, as the other hosts know it.
        address: Its IPv4 address; what depends on it waits until the host takes logins.
        address6: Its IPv6 address, or None.
        port: Where sshd listens.
        user: The user with sudo.
        private_key: OpenSSH private key of that user (secret).
        host_key: The pinned ed25519 host key, `ssh-ed25519 AAAA…`.
        container_id: Changes when the host is a new one.
    """

    name: str
    fqdn: str
    address: pulumi.Output[str]
    address6: str | None
    port: int
    user: str
    private_key: pulumi.Output[str]
    host_key: pulumi.Output[str]
    container_id: pulumi.Output[str]

    @property
    def arguments(self) -> HostArgs:
        """What a stack says of the host."""
        return HostArgs(
            address=self.address,
            user=self.user,
            host_key=self.host_key,
            port=self.port,
            private_key=self.private_key,
            incarnation=self.container_id,
        )


class Lab(pulumi.ComponentResource):
    """A network of systemd hosts in Docker, ready for SSH.

    Attributes:
        endpoints: Every host by its name.
        cache_password: Password of the cache service (secret).
        sudo_password: Password of user `opspw` on every host (secret).
        kubeconfig: By which an administrator reaches the lab's cluster, which is ready then (secret); None without one.
    """

    endpoints: Mapping[str, LabEndpoint]
    cache_password: pulumi.Output[str]
    sudo_password: pulumi.Output[str]
    kubeconfig: pulumi.Output[str] | None

    def __init__(self, name: str, args: LabArgs | None = None, opts: pulumi.ResourceOptions | None = None) -> None:
        args = args or LabArgs()
        settings = args.settings
        self._name, self._settings, self._image = name, settings, host_image.reference()
        inputs = {"settings": settings.model_dump(mode="json", by_alias=True), "image": self._image}
        super().__init__("sealed-data-tier:lab:Lab", name, inputs, opts)

        self._key = tls.PrivateKey(f"{name}-key", algorithm="ED25519", opts=self._child())
        self.cache_password = self._password("cache", args.cache_password)
        self.sudo_password = self._password("sudo", args.sudo_password)
        self._network = self._make_network()
        self._cache_socket = (
            cache_service.valkey(name, settings, self._image, self.cache_password, self._child())
            if settings.cache and not settings.nodes
            else None
        )
        cluster = settings.cluster
        self._identities = Identities(name, settings, cluster, self._child()) if cluster and cluster.nodes else None
        hosts = {host: self._make_host(host) for host in settings.hosts}
        gate = self._make_gate(_born(container.id for container, _ in hosts.values()))
        self.endpoints = {
            host: LabEndpoint(
                name=host,
                fqdn=f"{host}.{settings.domain}",
                address=_once(gate, str(settings.address(host))),
                address6=settings.address6(host),
                port=SSH_PORT,
                user=USERS[0],
                private_key=self._key.private_key_openssh,
                host_key=host_key.public_key_openssh.apply(str.strip),
                container_id=container.id,
            )
            for host, (container, host_key) in hosts.items()
        }
        ready = pulumi.Output.all(gate.name, gate.exit_code, gate.container_logs).apply(lambda end: _all_ready(*end))
        nodes = [hosts[host][0].id for host in settings.nodes]
        self.kubeconfig = self._make_cluster(cluster, _born(nodes)) if cluster else None
        addresses = {host: endpoint.address for host, endpoint in self.endpoints.items()}
        self.register_outputs({"addresses": addresses, "ready": ready, "cache": cache_service.told(settings)})

    def _child(self) -> pulumi.ResourceOptions:
        # Names and addresses in Docker are fixed, so the old one has to go before the new one can come.
        return pulumi.ResourceOptions(parent=self, delete_before_replace=True)

    def _labels(self, more: Mapping[str, pulumi.Input[str]]) -> list[docker.ContainerLabelArgs]:
        labels = {**self._settings.labels(), **more}
        return [docker.ContainerLabelArgs(label=label, value=value) for label, value in labels.items()]

    def _password(self, purpose: str, given: pulumi.Input[str] | None) -> pulumi.Output[str]:
        if given is not None:
            return pulumi.Output.secret(given)
        # No configuration is asked for, and none is needed: whoever has the state's key has the lab anyway.
        return derived(self._key, purpose)

    def _make_network(self) -> docker.Network:
        subnets = [subnet for subnet in (self._settings.subnet, self._settings.subnet6) if subnet]
        return docker.Network(
            f"{self._name}-network",
            name=self._settings.prefix,
            ipv6=self._settings.subnet6 is not None,
            ipam_configs=[
                docker.NetworkIpamConfigArgs(subnet=str(subnet), gateway=str(subnet[1])) for subnet in subnets
            ],
            labels=[
                docker.NetworkLabelArgs(label=label, value=value) for label, value in self._settings.labels().items()
            ],
            opts=self._child(),
        )

    def _make_host(self, host: str) -> tuple[docker.Container, tls.PrivateKey]:
        settings = self._settings
        host_key = tls.PrivateKey(f"{self._name}-{host}-host-key", algorithm="ED25519", opts=self._child())
        uploads = self._identity(host, host_key)
        volumes = []
        if settings.cache and self._cache_socket and host in settings.cache.workers:
            uploads += cache_service.node_port(settings.cache.port)
            volumes.append(
                docker.ContainerVolumeArgs(
                    volume_name=self._cache_socket.name, container_path=cache_service.DIRECTORY, read_only=True
                )
            )
        image, devices, labels = self._image, None, {HOST_LABEL: host}
        if self._identities and host in settings.nodes:
            uploads += self._identities.uploads(host)
            image = node_image.reference()
            # kubelet looks there for what the kernel killed.
            devices = [docker.ContainerDeviceArgs(host_path="/dev/kmsg", container_path="/dev/kmsg")]
            labels[NODE_LABEL] = CONTROL_PLANE if host == settings.nodes[0] else WORKER
        container = docker.Container(
            f"{self._name}-{host}",
            name=settings.container(host),
            image=image,
            hostname=host,
            domainname=settings.domain,
            # A reboot ends the container; Docker starts the same one again, unless a person stopped or killed it.
            restart="unless-stopped",
            capabilities=_CAPABILITIES,
            security_opts=list(_SECURITY),
            cgroupns_mode="private",
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(
                    name=self._network.id,
                    ipv4_address=str(settings.address(host)),
                    ipv6_address=settings.address6(host),
                )
            ],
            uploads=uploads,
            devices=devices,
            volumes=volumes,
            labels=self._labels(labels),
            opts=self._child(),
        )
        return container, host_key

    def _identity(self, host: str, host_key: tls.PrivateKey) -> list[docker.ContainerUploadArgs]:
        """What makes a container this host: its key, who may log in, and whom it knows."""
        passwords = pulumi.Output.format("opspw:{0}\n", self.sudo_password)
        others = [self._settings.names(other) for other in self._settings.hosts if other != host]
        # Not as Docker's extra hosts: the provider reads IPv6 ones back wrongly, and would replace the host for it.
        lines = [f"{address} {' '.join(names)}\n" for other in others for address, names in other.items()]
        return [
            upload(_HOST_KEY, host_key.private_key_openssh, mode="0600"),
            upload(f"{_HOST_KEY}.pub", host_key.public_key_openssh),
            # The first boot sets the password and removes the file.
            upload("/etc/lab-passwords", passwords, mode="0600"),
            # A comment, since Docker refuses an empty file, which the only host of a lab would have.
            upload("/etc/lab-hosts", "".join(["# the lab's other hosts\n", *lines])),
            *(upload(f"/home/{user}/.ssh/authorized_keys", self._key.public_key_openssh) for user in USERS),
        ]

    def _make_gate(self, born: pulumi.Output[str]) -> docker.Container:
        """A container that ends when every host takes logins: what depends on it never meets a host that still boots.

        A health check would do as well, but Docker would repeat it on every host for as long as the lab lives.
        """
        addresses = [str(self._settings.address(host)) for host in self._settings.hosts]
        return docker.Container(
            f"{self._name}-{GATE}",
            name=self._settings.container(GATE),
            image=self._image,
            command=["timeout", str(READY_SECONDS), "bash", "-c", _AWAIT_SSH, GATE, *addresses],
            attach=True,
            logs=True,
            must_run=False,
            networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=self._network.id)],
            # other hosts, another gate
            labels=self._labels({"sealed-data-tier.gate-for": born}),
            opts=self._child(),
        )

    def _make_cluster(self, cluster: ClusterSettings, born: pulumi.Output[str]) -> pulumi.Output[str]:
        """What reaches the cluster, once it is ready; one that is made here has the cache service."""
        if not self._identities:
            assert cluster.file  # noqa: S101 - the settings have refused a cluster without either
            return pulumi.Output.secret(cluster.file.read_text())
        gate = cluster_gate.before(self._name, self._settings, self._identities.kubeconfig, born, self._child())
        if self._settings.cache:
            self._offer_cache(self._settings.cache.port, gate)
        return gate.kubeconfig

    def _offer_cache(self, port: int, gate: cluster_gate.Gate) -> None:
        # A cluster that is made anew has nothing of it, and one that goes takes it along.
        opts = pulumi.ResourceOptions(replacement_trigger=gate.container.id, deleted_with=gate.container)
        cluster_cache_service.valkey(
            f"{self._name}-{CACHE}",
            kubernetes.Provider(f"{self._name}-kubernetes", kubeconfig=gate.kubeconfig, opts=self._child()),
            password=self.cache_password,
            port=port,
            opts=pulumi.ResourceOptions.merge(self._child(), opts),
        )


def _born(containers: Iterable[pulumi.Output[str]]) -> pulumi.Output[str]:
    """Changes when one of the containers is a new one."""
    return pulumi.Output.all(*containers).apply(lambda ids: hashlib.sha256("".join(ids).encode()).hexdigest())


def _once(gate: docker.Container, value: str) -> pulumi.Output[str]:
    """A value that is known in a preview, and that whoever uses it gets only when the gate is through."""
    return gate.name.apply(lambda _: value)


def _all_ready(gate: str, exit_code: int | None, asked: str | None) -> bool:
    if exit_code:
        silent = (asked or "a host").split()[-1]
        raise pulumi.RunError(
            f"{silent} took no SSH logins within {READY_SECONDS} s of the lab's creation: see what "
            f"lab/on HOST systemctl --failed says; to ask again: docker rm {gate}, then pulumi up --refresh"
        )
    return True
