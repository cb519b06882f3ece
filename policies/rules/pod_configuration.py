"""What servers of Redis and Valkey in pods read: their options, and files that a ConfigMap of the stack holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from policies.parsers import kubernetes, redis
from policies.parsers.formats import Format, format_of
from policies.parsers.kubernetes import Container, Pods
from policies.parsers.pod_servers import Server, servers_of
from policies.rules import listeners, plaintext, redis_access
from policies.rules.finding import Finding, HostFiles, KubernetesObject, Stack

RULES: Final = {
    "server-configuration": "the file that a server of Redis or Valkey in a pod is given keeps the rules for it",
}
_VOLUMES: Final = re.compile(r"\.volume(s|Mounts)\b")
# What options are judged upon where there is a file: that is followed as soon as the whole stack is known.
_SEALED: Final = ("port 0", "tls-port 6379", "tls-cluster yes", "tls-replication yes")


def started_with(containers: Iterable[Container]) -> HostFiles | None:
    """Return what servers of Redis and Valkey are started with, as files; None where there are none."""
    servers = dict(chain.from_iterable(_of_redis(each).items() for each in containers))
    return _options(servers) if servers else None


def _of_redis(container: Container) -> dict[str, Server]:
    return {path: each for path, each in servers_of(container).items() if each.service in ("redis", "valkey")}


def _options(servers: Mapping[str, Server]) -> HostFiles:
    return HostFiles(
        texts={path: each.configuration(*(_SEALED if each.file else ())) for path, each in servers.items()},
        unknown=frozenset(each.file for each in servers.values() if each.file),
    )


@dataclass(frozen=True, slots=True)
class PodServer:
    """A server of Redis or Valkey in pods, with its file where that could be followed.

    Attributes:
        path: Under which messages show its options.
        server: What it is started with.
        configuration: What holds for it in the end.
        files: Texts of its files, the options' included.
        key: Key of the ConfigMap that holds its file; empty where that was not found.
        is_known: Whether a file that was not found is known to be in no ConfigMap of the stack.
    """

    path: str
    server: Server
    configuration: redis.Configuration
    files: Mapping[str, str]
    key: str
    is_known: bool

    @property
    def speaks_only_tls(self) -> bool:
        """Whether it has a TLS port and no plaintext one."""
        return self.configuration.encrypted and self.configuration.port.value == "0"


def servers(thing: KubernetesObject, pods: Pods, stack: Stack) -> Iterator[PodServer]:
    """Follow the files of the servers that an object's pods start.

    Args:
        thing: The object.
        pods: Its pods.
        stack: Where ConfigMaps are.
    """
    maps = {each.name: each for each in stack.objects if each.kind == "ConfigMap" and each.namespace == thing.namespace}
    texts = {name: kubernetes.kept(each.kind, each.inputs) for name, each in maps.items()}
    for container in pods.containers:
        found = kubernetes.mounted(container, pods, texts)
        files = {path: texts[name][key] for path, (name, key) in found.items()}
        for path, server in _of_redis(container).items():
            whole = {path: server.configuration(), **files}
            configuration = redis.parse(path, whole, sentinel=server.sentinel)
            yield PodServer(
                path=path,
                server=server,
                configuration=configuration,
                files={each: whole[each] for each in configuration.files},
                key=found[server.file][1] if server.file in found else "",
                is_known=not _may_come(thing, container, pods, server.file, maps),
            )


def _may_come(
    thing: KubernetesObject, container: Container, pods: Pods, file: str, maps: Mapping[str, KubernetesObject]
) -> bool:
    """Tell whether a file may turn out to be in a ConfigMap of which something is not known yet."""
    mount = container.mount_of(file)
    sources = pods.volumes.get(mount.volume, ()) if mount else ()
    return any(map(_VOLUMES.search, thing.unknown)) or any(
        each.kind == "configMap"
        and (not each.name or "" in maps or (each.name in maps and maps[each.name].lacks("data", "binaryData")))
        for each in sources
    )


def check(thing: KubernetesObject, pods: Pods, stack: Stack) -> Iterator[Finding]:
    """Find files of servers that open something, and those that nobody can judge."""
    for each in servers(thing, pods, stack):
        # What is called like a configuration is judged as one where it is written.
        judged = Format.SENTINEL if each.server.sentinel else Format.REDIS
        if not each.server.file or (each.key and format_of(each.key) is judged):
            continue
        if each.key:
            yield from _of_file(each)
        elif not (each.speaks_only_tls and each.configuration.setting("tls-auth-clients").directive):
            yield _not_found(each)


def _of_file(each: PodServer) -> Iterator[Finding]:
    # What the options break is told of the object itself.
    known = {finding.rule for finding in _findings(_options({each.path: each.server}))}
    for finding in _findings(HostFiles(texts=each.files)):
        if finding.rule not in known:
            yield replace(finding, rule="server-configuration", problem=f"{finding.problem} ({finding.rule})")


def _findings(files: HostFiles) -> Iterator[Finding]:
    return chain(listeners.check(files), plaintext.check(files), redis_access.check(files))


def _not_found(each: PodServer) -> Finding:
    problem = "its file is in no ConfigMap of this stack, and its options do not say all that matters: nobody judges it"
    if not each.is_known:
        problem = "the ConfigMap that may hold its file is not known yet: checked as soon as it is"
    return Finding(
        rule="server-configuration",
        path=each.path,
        line=1,
        value=each.server.file,
        problem=problem,
        fix="mount it from a ConfigMap of this stack, or add '--port 0 --tls-port PORT --tls-auth-clients yes'",
        note=not each.is_known,
    )
