"""The cache service: one password-protected Valkey that every worker offers on a loopback port.

It stands in for a Kubernetes NodePort in labs without a cluster of their own; with one, ``lab.cluster.cache_service``
makes the real thing. Valkey is on no network at all: it listens on a unix socket in a Docker volume, and on each worker
systemd forwards the loopback port to that socket. So whatever reaches it came through a worker's loopback, and its
client list names no address but the socket.
"""

from __future__ import annotations

import json
from typing import Final

import pulumi
import pulumi_docker as docker

from lab.cluster import node_image
from lab.settings import CACHE, LabSettings
from lab.uploads import upload

DIRECTORY: Final = "/srv/cache-service"
"""Where the volume with the socket is mounted."""

_SOCKET: Final = f"{DIRECTORY}/valkey.sock"
_CONFIGURATION: Final = "/etc/valkey/cache-service.conf"
# Valkey runs as its own user and reads its configuration, with the password in it, from a file that only root can open.
_START: Final = (
    f"install -d -o valkey -g valkey {DIRECTORY} && "
    f"exec setpriv --reuid=valkey --regid=valkey --clear-groups valkey-server - <{_CONFIGURATION}"
)

_SOCKET_UNIT: Final = """\
[Unit]
Description=Cache service on loopback port {port}

[Socket]
ListenStream=127.0.0.1:{port}
ListenStream=[::1]:{port}
# for hosts without IPv6
FreeBind=yes
"""
_SERVICE_UNIT: Final = f"""\
[Unit]
Description=Cache service: from the loopback port to Valkey's unix socket

[Service]
ExecStart=/usr/lib/systemd/systemd-socket-proxyd --connections-max=4096 {_SOCKET}
DynamicUser=yes
PrivateNetwork=yes
LimitNOFILE=65536
"""
_WANTED: Final = "[Unit]\nWants=cache-service.socket\n"


def configuration(password: str) -> str:
    """Valkey's configuration; the quoting of JSON is also Valkey's."""
    lines = ("port 0", f"unixsocket {_SOCKET}", "unixsocketperm 777", 'save ""')
    return "\n".join([*lines, required(password)])


def required(password: str) -> str:
    """The line of a configuration that asks every client for a password."""
    return f"requirepass {json.dumps(password, ensure_ascii=False)}\n"


def told(settings: LabSettings) -> str:
    """What a lab has for the cache service, in words; empty if nothing."""
    cache, cluster = settings.cache, settings.cluster
    if cache is None:
        return ""
    if settings.nodes:
        nodes = ", ".join(settings.nodes)
        return f"the cache is Valkey on Kubernetes {node_image.version()}, behind NodePort {cache.port} of {nodes}"
    why = "no host is a node of lab.cluster" if cluster else "lab.cluster is null"
    workers = ", ".join(cache.workers)
    return f"the cache is a stand-in without Kubernetes, behind port {cache.port} of {workers}, since {why}"


def node_port(port: int) -> list[docker.ContainerUploadArgs]:
    """The files by which a worker offers the cache service on its loopback addresses."""
    units = "/etc/systemd/system"
    return [
        upload(f"{units}/cache-service.socket", _SOCKET_UNIT.format(port=port)),
        upload(f"{units}/cache-service.service", _SERVICE_UNIT),
        # An upload cannot be a symbolic link, so the socket is enabled by a drop-in.
        upload(f"{units}/sockets.target.d/cache-service.conf", _WANTED),
    ]


def valkey(
    name: str, settings: LabSettings, image: str, password: pulumi.Output[str], opts: pulumi.ResourceOptions
) -> docker.Volume:
    """Creates Valkey's container and the volume with its socket; returns the volume."""
    container = settings.container(CACHE)
    socket = docker.Volume(
        f"{name}-{CACHE}-socket",
        name=f"{container}-socket",
        labels=[docker.VolumeLabelArgs(label=label, value=value) for label, value in settings.labels().items()],
        opts=opts,
    )
    docker.Container(
        f"{name}-{CACHE}",
        name=container,
        image=image,
        command=["sh", "-c", _START],
        stop_signal="SIGTERM",
        network_mode="none",
        restart="unless-stopped",
        volumes=[docker.ContainerVolumeArgs(volume_name=socket.name, container_path=DIRECTORY)],
        uploads=[upload(_CONFIGURATION, password.apply(configuration), mode="0600")],
        labels=[docker.ContainerLabelArgs(label=label, value=value) for label, value in settings.labels().items()],
        opts=opts,
    )
    return socket
