"""The objects of a group: settings in, objects as the API server takes them out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from components.redis_tls_cluster import rendering
from components.redis_tls_cluster.kubernetes.names import DATA, SENTINEL, SERVER, SETTLE, Names
from components.redis_tls_cluster.kubernetes.settings import (
    AntiAffinity,
    ClientSettings,
    ResourceSettings,
)
from components.redis_tls_cluster.rendering import applied, library, place
from components.redis_tls_cluster.settings import RedisTlsSettings

Object = dict[str, Any]

#: What differs from pods that were started before, and has them started anew.
STARTED_WITH: Final = "sealed-data-tier/started-with"
#: What the whole group is brought to.
BROUGHT_TO: Final = "sealed-data-tier/brought-to"

#: Kind of the claims of volumes.
CLAIM: Final = "PersistentVolumeClaim"

# Some volumes are made only once a pod is there for them; and who has made one before does not matter.
_OF_VOLUMES: Final = {"pulumi.com/skipAwait": "true", "pulumi.com/patchForce": "true"}
_DELIVERED: Final = "/run/delivered"
_READABLE: Final = 0o440  # by the service's group, which kubelet gives it to
_EXECUTABLE: Final = 0o555
_STOP_S: Final = 60  # as for systemd on hosts
_SCRIPTS: Final = ("pod", "node", "group")
_IN_TLS: Final = ("server/root.crt", "server/server.crt", "server/server.key")
_IN_TLS_OF_CLIENTS: Final = ("client/root.crt", "client/client.crt", "client/client.key")


class Objects:
    """The objects of one group.

    Each is a mapping with `apiVersion`, `kind`, `metadata` and what its kind has.

    Attributes:
        settings: The group.
        names: What everything is called.
    """

    def __init__(self, settings: RedisTlsSettings) -> None:
        self.settings, self.names = settings, Names(settings)
        self._place = self.names.place
        self._part_port = {SERVER: settings.tls_port, SENTINEL: settings.sentinel.port}

    @property
    def parts(self) -> tuple[str, ...]:
        """Kinds of pods that stay."""
        return (SERVER, SENTINEL) if self.settings.sentinels else (SERVER,)

    def labels(self, part: str | None = None) -> dict[str, str]:
        """Labels of all pods of the group, or of one part of it."""
        group = {"name": self.settings.flavour.value, "instance": self.settings.name}
        labels = {**group, "component": part} if part else group
        return {f"app.kubernetes.io/{name}": value for name, value in labels.items()}

    def _object(self, kind: str, name: str, part: str | None = None, api: str = "v1", **content: Any) -> Object:  # noqa: ANN401
        labels = {**self.labels(part), "app.kubernetes.io/managed-by": "sealed-data-tier"}
        metadata = {"name": name, "namespace": self._place.namespace, "labels": labels}
        return {"apiVersion": api, "kind": kind, "metadata": metadata, **content}

    # What is read ---------------------------------------------------------------------------------------------------

    def configuration(self) -> Iterator[Object]:
        """ConfigMaps: what servers and Sentinels are told, and what surrounds their start, reload and stop."""
        settings, flavour = self.settings, self.settings.flavour
        servers = {
            f"{flavour}.conf": rendering.configuration(settings, None),
            "startup.conf": rendering.startup(settings),
        }
        yield self._object("ConfigMap", self.names.pods_of(SERVER), SERVER, data=servers)
        if SENTINEL in self.parts:
            told = {"sentinel.conf": rendering.sentinel(settings, None, self.names.group)}
            yield self._object("ConfigMap", self.names.pods_of(SENTINEL), SENTINEL, data=told)
        scripts = {
            **{name: rendering.script(name) for name in _SCRIPTS},
            "client.sh": rendering.script("client"),
            "node.env": rendering.environment(settings, None, self.names.group),
        }
        yield self._object("ConfigMap", f"{settings.name}-scripts", data=scripts)

    def secret(self, part: str, content: Mapping[str, Any]) -> Object:
        """Secret with what servers or Sentinels keep to themselves; the content may be anything that becomes text."""
        return self._object("Secret", self.names.pods_of(part), part, type="Opaque", stringData=dict(content))

    # Who reaches whom -----------------------------------------------------------------------------------------------

    def headless(self) -> Iterator[Object]:
        """Services by which each pod has a name, which is there before the pod is ready."""
        for part in self.parts:
            spec = {"clusterIP": "None", "publishNotReadyAddresses": True}
            yield self._service(self.names.headless(part), part, spec, self.labels(part))

    def services(self) -> Iterator[Object]:
        """Services that clients dial, outside a server each. Pulumi waits until they lead to somebody."""
        dialled = self.parts[-1]
        yield self._service(self.names.service, dialled, {"type": "ClusterIP"}, self.labels(dialled))
        if self._place.exposure:
            yield from (self._exposed(number) for number in range(self.settings.servers))

    def _service(
        self, name: str, part: str, spec: Mapping[str, Any], selector: Mapping[str, str], node_port: int | None = None
    ) -> Object:
        port: Object = {"name": "tls", "port": self._part_port[part], "targetPort": "tls"}
        if node_port is not None:
            port["nodePort"] = node_port
        return self._object("Service", name, part, spec={**spec, "selector": dict(selector), "ports": [port]})

    def _exposed(self, number: int) -> Object:
        exposure = self._place.exposure
        assert exposure  # noqa: S101 - as the caller has seen
        pod = self.names.pod(SERVER, number)
        # Who comes from elsewhere keeps its address, by which the network policy knows it.
        spec: Object = {"type": exposure.type.value, "externalTrafficPolicy": "Local"}
        chosen = exposure.node_ports[number] if exposure.node_ports else None
        made = self._service(f"{pod}-outside", SERVER, spec, {"statefulset.kubernetes.io/pod-name": pod}, chosen)
        if exposure.annotations:
            made["metadata"]["annotations"] = dict(exposure.annotations)
        return made

    def policies(self) -> Iterator[Object]:
        """NetworkPolicies: the group's own pods and the declared clients, to the TLS port only."""
        own = {"podSelector": {"matchLabels": self.labels()}}
        peers = [own, *(_peer(client) for client in self._place.clients)]
        for part in self.parts:
            ports = [{"protocol": "TCP", "port": self._part_port[part]}]
            spec = {
                "podSelector": {"matchLabels": self.labels(part)},
                "policyTypes": ["Ingress"],
                "ingress": [{"from": peers, "ports": ports}],
            }
            api = "networking.k8s.io/v1"
            yield self._object("NetworkPolicy", self.names.pods_of(part), part, api, spec=spec)
        # Who settles the group is asked by nobody.
        spec = {"podSelector": {"matchLabels": self.labels(SETTLE)}, "policyTypes": ["Ingress"]}
        name = f"{self.settings.name}-{SETTLE}"
        yield self._object("NetworkPolicy", name, SETTLE, "networking.k8s.io/v1", spec=spec)

    def budgets(self) -> Iterator[Object]:
        """PodDisruptionBudgets: one of several may be away. The only server has none, which would stop every drain."""
        for part in self.parts if self.settings.servers > 1 else ():
            spec = {"maxUnavailable": 1, "selector": {"matchLabels": self.labels(part)}}
            yield self._object("PodDisruptionBudget", self.names.pods_of(part), part, "policy/v1", spec=spec)

    # What runs ------------------------------------------------------------------------------------------------------

    def volumes(self) -> Iterator[Object]:
        """Claims of the pods' volumes. They are made before the pods: what a StatefulSet makes itself never grows."""
        for part, count in zip(self.parts, (self.settings.servers, self.settings.sentinels), strict=False):
            for number in range(count):
                claim = self._object(CLAIM, self.names.claim(part, number), part, spec=self._claim(part))
                claim["metadata"]["annotations"] = dict(_OF_VOLUMES)
                yield claim

    def servers(self, started_with: Any) -> Object:  # noqa: ANN401 - text, or what becomes one
        """StatefulSet of the servers.

        Args:
            started_with: Tells one start from another: what a server takes at its start only.
        """
        return self._stateful(SERVER, self.settings.servers, [self._server(), self._follower()], started_with)

    def sentinels(self, started_with: Any) -> Object:  # noqa: ANN401 - text, or what becomes one
        """StatefulSet of the Sentinels.

        Args:
            started_with: Tells one start from another: everything, since Sentinel reloads nothing.
        """
        container = self._container(
            SENTINEL,
            ["--sentinel", *self._sealed(SENTINEL)],
            f"{self.settings.data}/sentinel.conf",
            self._place.sentinel_resources,
            readinessProbe=_probe([self._pod, "watches"], every=5),
        )
        return self._stateful(SENTINEL, self.settings.sentinels, [container], started_with)

    def settle(self, brought_to: Any) -> Object:  # noqa: ANN401 - text, or what becomes one
        """Job that ends well once every server has what was written last, and the group is well.

        Args:
            brought_to: Tells what was written from what was before.
        """
        container = {
            "name": SETTLE,
            **self._image(),
            "command": [self._pod, "settle"],
            "env": [{"name": "TMPDIR", "value": applied(self.settings)}, *self._environment(SETTLE)],
            "resources": _resources(self._place.sentinel_resources),
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": self._mounts(data=False),
        }
        template = self._pods(SETTLE, [container], {BROUGHT_TO: brought_to})
        template["spec"] |= {"restartPolicy": "Never", "volumes": self._volumes(SERVER)}
        name = f"{self.settings.name}-{SETTLE}"
        return self._object("Job", name, SETTLE, "batch/v1", spec={"backoffLimit": 0, "template": template})

    @property
    def _pod(self) -> str:
        return f"{library(self.settings)}/pod"

    def _sealed(self, part: str) -> list[str]:
        """What no file can take back: TLS, nothing else, and who has to have a certificate."""
        port, clients = self._part_port[part], self.settings.tls.auth_clients.value
        return ["--port", "0", "--tls-port", str(port), "--tls-auth-clients", clients]

    def _server(self) -> Object:
        settings = self.settings
        return self._container(
            SERVER,
            [*self._sealed(SERVER), "--replica-announce-ip", "$(ADDRESS)"],
            f"{settings.data}/{settings.flavour}.conf",
            self._place.resources,
            readinessProbe=_probe([self._pod, "ready"], every=5),
            lifecycle={"preStop": {"exec": {"command": [f"{library(settings)}/node", "hand-over"]}}},
        )

    def _follower(self) -> Object:
        return {
            "name": "follow",
            **self._image(),
            "command": [self._pod, "follow"],
            "env": self._environment(SERVER),
            "resources": _resources(ResourceSettings(cpu="10m", memory="16Mi")),
            "volumeMounts": self._mounts(data=False),
        }

    def _container(self, part: str, options: list[str], file: str, needs: ResourceSettings, **more: Any) -> Object:  # noqa: ANN401
        port = self._part_port[part]
        alive = [self._pod, "alive", str(port)]
        return {
            "name": part,
            **self._image(),
            "command": [self._pod, f"{self.settings.flavour}-server"],
            "args": [file, *options],
            "env": self._environment(part),
            "ports": [{"name": "tls", "containerPort": port, "protocol": "TCP"}],
            "resources": _resources(needs),
            # It may wait for Sentinels, or read a lot of data, for as long as that takes.
            "startupProbe": _probe(alive, every=2, failures=43_200),
            "livenessProbe": _probe(alive, every=20),
            **more,
            "volumeMounts": self._mounts(data=True),
        }

    def _image(self) -> Object:
        return {
            "image": self._place.reference,
            "imagePullPolicy": "IfNotPresent",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }

    def _environment(self, part: str) -> list[Object]:
        known = [{"name": "DELIVERED", "value": _DELIVERED}]
        if part == SETTLE:
            return known
        named = {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
        return [*known, named, {"name": "ADDRESS", "value": f"$(POD).{self.names.domain(part)}"}]

    def _mounts(self, *, data: bool) -> list[Object]:
        settings = self.settings
        mounts = {
            "scripts": library(settings),
            "delivered": _DELIVERED,
            "taken": place(settings),
            "applied": applied(settings),
        }
        read_only = ("scripts", "delivered")
        made: list[Object] = [
            {"name": name, "mountPath": path, **({"readOnly": True} if name in read_only else {})}
            for name, path in mounts.items()
        ]
        return [*made, {"name": DATA, "mountPath": settings.data}] if data else made

    def _volumes(self, part: str) -> list[Object]:
        name = self.names.pods_of(part)
        told = ("sentinel.conf",) if part == SENTINEL else (f"{self.settings.flavour}.conf", "startup.conf")
        sources = [
            {"configMap": {"name": name, "items": _items(told)}},
            {"secret": {"name": name, "items": _items(_secret_paths(part))}},
        ]
        in_memory = {"medium": "Memory", "sizeLimit": "4Mi"}
        scripts = {"name": f"{self.settings.name}-scripts", "defaultMode": _EXECUTABLE}
        return [
            {"name": "scripts", "configMap": scripts},
            {"name": "delivered", "projected": {"defaultMode": _READABLE, "sources": sources}},
            {"name": "taken", "emptyDir": in_memory},
            {"name": "applied", "emptyDir": in_memory},
        ]

    def _pods(self, part: str, containers: list[Object], annotations: Mapping[str, Any]) -> Object:
        spec: Object = {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            # Sentinel does nothing else while it asks for a name: a lost packet must not take five seconds.
            "dnsConfig": {"options": [{"name": "timeout", "value": "1"}, {"name": "attempts", "value": "3"}]},
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": self._place.user,
                "runAsGroup": self._place.user,
                "fsGroup": self._place.user,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": containers,
        }
        if self._place.pull_secrets:
            spec["imagePullSecrets"] = [{"name": name} for name in self._place.pull_secrets]
        return {"metadata": {"labels": self.labels(part), "annotations": dict(annotations)}, "spec": spec}

    def _stateful(self, part: str, count: int, containers: list[Object], started_with: Any) -> Object:  # noqa: ANN401
        template = self._pods(part, containers, {STARTED_WITH: started_with})
        template["spec"] |= {
            "terminationGracePeriodSeconds": _STOP_S,
            "affinity": self._apart(part),
            "volumes": self._volumes(part),
        }
        claim = {"metadata": {"name": DATA, "labels": self.labels(part)}, "spec": self._claim(part)}
        spec = {
            "serviceName": self.names.headless(part),
            "replicas": count,
            # Each waits for what it needs by itself; in their order they could wait for each other for ever.
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": self.labels(part)},
            # Not even where the data is to go with the group: this object may be replaced, and no data goes then.
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "template": template,
            "volumeClaimTemplates": [claim],
        }
        return self._object("StatefulSet", self.names.pods_of(part), part, "apps/v1", spec=spec)

    def _claim(self, part: str) -> Object:
        storage = self._place.storage
        size = storage.sentinel_size if part == SENTINEL else storage.size
        spec: Object = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        if storage.storage_class is not None:
            spec["storageClassName"] = storage.storage_class
        return spec

    def _apart(self, part: str) -> Object:
        term = {"labelSelector": {"matchLabels": self.labels(part)}, "topologyKey": self._place.topology_key}
        if self._place.anti_affinity is AntiAffinity.REQUIRED:
            return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        weighed = {"weight": 100, "podAffinityTerm": term}
        return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [weighed]}}


def secret_keys(part: str) -> tuple[str, ...]:
    """Keys of a part's Secret."""
    return tuple(dict.fromkeys(PurePosixPath(path).name for path in _secret_paths(part)))


def _secret_paths(part: str) -> tuple[str, ...]:
    own = ("sentinel-users.acl", "sentinel.passwords") if part == SENTINEL else ("users.acl", "passwords.conf")
    return (*own, "manager.password", *(f"tls/{path}" for path in (*_IN_TLS, *_IN_TLS_OF_CLIENTS)))


def _items(paths: Iterable[str]) -> list[Object]:
    """Where keys are delivered to: each is called as the file is."""
    return [{"key": PurePosixPath(path).name, "path": path} for path in paths]


def _peer(client: ClientSettings) -> Object:
    if client.network is not None:
        return {"ipBlock": {"cidr": str(ipaddress.ip_network(client.network))}}
    peer: Object = {"podSelector": {"matchLabels": dict(client.pods or {})}}
    if client.namespace is not None:
        peer["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": client.namespace}}
    return peer


def _resources(needs: ResourceSettings) -> Object:
    limits = {"cpu": needs.cpu_limit, "memory": needs.memory_limit}
    given = {name: value for name, value in limits.items() if value is not None}
    asked = {"requests": {"cpu": needs.cpu, "memory": needs.memory}}
    return {**asked, "limits": given} if given else asked


def _probe(command: list[str], *, every: int, failures: int = 3) -> Object:
    # The scripts have limits of their own, below this one.
    return {"exec": {"command": command}, "periodSeconds": every, "timeoutSeconds": 15, "failureThreshold": failures}
