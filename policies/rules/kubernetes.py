"""Kubernetes: what of the data tier others can reach, and what a pod shows of its secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from policies.parsers import kubernetes
from policies.parsers.kubernetes import Container, part, texts
from policies.rules.finding import Finding, KubernetesObject
from policies.rules.secret_patterns import found, is_secret_variable

RULES: Final = {
    "hidden-authorities": "no Secret is mounted over the folder of the authorities that an image trusts",
    "password-in-variable": "no password in a variable that whoever may read the pod may read",
    "plaintext-url": "no `redis://` in variables, ConfigMaps and custom objects",
}
STACK_RULES: Final = {
    "exposed-service": "no Service opens a port of the data tier to others, but to pods that speak nothing but TLS",
    "network-policy": "a NetworkPolicy says who may reach each pod of the data tier",
}
_WIDE: Final = frozenset({"NodePort", "LoadBalancer"})
_PORTS: Final = {
    2049: "NFS", 2379: "etcd", 2380: "etcd", 5432: "PostgreSQL", 6379: "Redis", 16379: "Redis", 26379: "Sentinel"
}  # fmt: skip
_NAMES: Final = re.compile(r"redis|valkey|sentinel|postgres|etcd|nfs", re.IGNORECASE)
_AUTHORITIES: Final = re.compile(
    r"/etc/ssl(/.*)?|/etc/pki(/.*)?|/usr/(local/)?share/ca-certificates(/.*)?|.*/lib/security"
)
_STORE_PASSWORD: Final = re.compile(r"-Djavax\.net\.ssl\.(key|trust)StorePassword=")
_PLAINTEXT: Final = re.compile(r"\bredis://(?!(localhost|127\.0\.0\.1|\[::1\])\b)")


def check(thing: KubernetesObject) -> Iterator[Finding]:
    """Find what an object opens or shows."""
    if thing.kind == "ConfigMap":
        for key, text in texts(part(thing.inputs, "data")).items():
            yield from plaintext_urls(f"data.{key}", text)
    if pods := kubernetes.pods(thing.kind, thing.inputs):
        for container in pods.containers:
            yield from _container(container, pods.secrets)


def _service(thing: KubernetesObject) -> Iterator[Finding]:
    spec = part(thing.inputs, "spec")
    wide = spec.get("type") in _WIDE or bool(spec.get("externalIPs"))
    for at, port in enumerate(kubernetes.items(spec, "ports") if wide else ()):
        given = [port.get(key) for key in ("port", "targetPort", "name")]
        known = (_PORTS.get(int(each)) for each in given if isinstance(each, int | float))
        named = (each for each in given if isinstance(each, str) and _NAMES.search(each))
        service = next((each for each in (*known, *named) if each), None)
        if service is not None:
            yield Finding(
                rule="exposed-service",
                path=f"spec.ports[{at}]",
                value=f"{spec.get('type') or 'externalIPs'}: {port.get('port')}",
                problem=f"opens a port of {service} on the nodes or on a load balancer, beside any tunnel",
                fix="write 'type: ClusterIP', have its pods speak nothing but TLS, or declare an exception",
            )


def _container(container: Container, secrets: frozenset[str]) -> Iterator[Finding]:
    where = f"containers.{container.name}"
    for volume, path in container.mounts:
        if volume in secrets:
            yield from hidden_authorities(f"{where}.volumeMounts", path)
    for name, value in container.environment.items():
        yield from password_in_variable(f"{where}.env.{name}", name, value)
        yield from plaintext_urls(f"{where}.env.{name}", value)


def hidden_authorities(where: str, path: str) -> Iterator[Finding]:
    """Find a Secret's mount that hides the authorities of an image."""
    if _AUTHORITIES.fullmatch(path.rstrip("/")):
        yield Finding(
            rule="hidden-authorities",
            path=where,
            value=path,
            problem="the authorities that the image trusts are hidden: TLS to everybody else fails",
            fix="mount it elsewhere, and name the store by javax.net.ssl.trustStore",
        )


def password_in_variable(where: str, name: str, value: str) -> Iterator[Finding]:
    """Find a password in a variable: of a key store, in an address, or as the variable's name says."""
    if _STORE_PASSWORD.search(value) or is_secret_variable(name, value) or found(value):
        yield Finding(
            rule="password-in-variable",
            path=where,
            value="a secret",
            problem="whoever may read the pod reads it",
            fix="take it from a Secret: Java's options as a file of it, by JDK_JAVA_OPTIONS=@FILE, others by valueFrom",
        )


def plaintext_urls(where: str, value: str) -> Iterator[Finding]:
    """Find an address of Redis without TLS, beyond the pod itself; it may hold a password."""
    if _PLAINTEXT.search(value):
        yield Finding(
            rule="plaintext-url",
            path=where,
            value="redis://…",
            problem="data and password travel in plaintext",
            fix="write rediss://HOST:PORT",
        )


def check_stack(things: Sequence[KubernetesObject]) -> Iterator[tuple[KubernetesObject, Finding]]:
    """Find Services that open the data tier to others, and pods of it that no NetworkPolicy is about."""
    for thing in things:
        if thing.kind == "Service" and not _leads_to_tls(thing, things):
            yield from ((thing, finding) for finding in _service(thing))
    yield from _unguarded(things)


def _leads_to_tls(service: KubernetesObject, things: Sequence[KubernetesObject]) -> bool:
    """Tell whether all pods of this stack that a Service selects, and one at least, speak nothing but TLS."""
    selector = texts(part(service.inputs, "spec", "selector"))
    made = (kubernetes.pods(each.kind, each.inputs) for each in things if each.namespace == service.namespace)
    servers = [
        container
        for pods in made
        if pods and selector and selector.items() <= pods.labels.items()
        for container in pods.containers
        if container.service
    ]
    return bool(servers) and all(kubernetes.speaks_only_tls(each) for each in servers)


def _unguarded(things: Sequence[KubernetesObject]) -> Iterator[tuple[KubernetesObject, Finding]]:
    rules = [thing for thing in things if thing.kind == "NetworkPolicy"]
    for thing in things:
        pods = kubernetes.pods(thing.kind, thing.inputs)
        served = next((each for each in pods.containers if each.service), None) if pods else None
        if pods is None or served is None or any(_covers(rule, thing.namespace, pods.labels) for rule in rules):
            continue
        yield (
            thing,
            Finding(
                rule="network-policy",
                path=f"containers.{served.name}",
                value=str(served.service),
                problem="every pod of the cluster may connect",
                fix="add a NetworkPolicy of type Ingress that selects these pods and names their clients",
            ),
        )


def _covers(rule: KubernetesObject, namespace: str, labels: Mapping[str, str]) -> bool:
    spec = part(rule.inputs, "spec")
    selector = part(spec, "podSelector")
    types = spec.get("policyTypes", ["Ingress"])
    wanted = texts(part(selector, "matchLabels"))
    # An expression may select anything; who writes one has thought of it.
    return (
        rule.namespace == namespace
        and isinstance(types, list)
        and "Ingress" in types
        and (bool(selector.get("matchExpressions")) or wanted.items() <= dict(labels).items())
    )
