"""Kubernetes: what an object shows of its secrets, hides of its image, and says in plaintext."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from policies.parsers import kubernetes
from policies.parsers.kubernetes import Container, Pods, all_texts
from policies.rules.finding import Finding, KubernetesObject
from policies.rules.secret_patterns import found, is_secret_variable

RULES: Final = {
    "hidden-authorities": "no Secret is mounted over the folder of the authorities that an image trusts",
    "password-in-variable": "no password in a variable that whoever may read the pod may read",
    "plaintext-url": "no `redis://` in any object: variables, arguments, ConfigMaps, Secrets, custom resources",
}
# Their texts describe what others may write.
_DESCRIPTIONS: Final = "CustomResourceDefinition"
_AUTHORITIES: Final = re.compile(
    r"/etc/ssl(/.*)?|/etc/pki(/.*)?|/usr/(local/)?share/ca-certificates(/.*)?|.*/lib/security"
)
_STORE_PASSWORD: Final = re.compile(r"-Djavax\.net\.ssl\.(key|trust)StorePassword=")
_LOOPBACK: Final = r"(localhost|127\.0\.0\.1|\[::1\])(?![\w.@-])"
_PLAINTEXT: Final = re.compile(rf"\b(redis|valkey)([+-]sentinel)?://(?!([^\s/@]*@)?{_LOOPBACK})", re.IGNORECASE)


def check(thing: KubernetesObject) -> Iterator[Finding]:
    """Find what an object shows, hides, or says in plaintext."""
    if thing.kind != _DESCRIPTIONS:
        held = kubernetes.kept(thing.kind, thing.inputs) if thing.kind in ("ConfigMap", "Secret") else {}
        for path, text in (*((f"data.{key}", text) for key, text in held.items()), *all_texts(thing.inputs)):
            yield from plaintext_urls(path, text)
    if pods := kubernetes.pods(thing.kind, thing.inputs):
        for container in pods.containers:
            yield from _container(container, pods)


def _container(container: Container, pods: Pods) -> Iterator[Finding]:
    where = f"containers.{container.name}"
    for mount in container.mounts:
        if any(each.kind == "secret" for each in pods.volumes.get(mount.volume, ())):
            yield from hidden_authorities(f"{where}.volumeMounts", mount.path)
    for name, value in container.environment.items():
        yield from password_in_variable(f"{where}.env.{name}", name, value)


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
