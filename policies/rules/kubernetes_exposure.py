"""Kubernetes: what of the data tier others can reach, as the objects of a stack and its tunnels say together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from policies.parsers import kubernetes
from policies.parsers.addresses import is_loopback
from policies.parsers.kubernetes import Container, Pods, items, listed, number_of, part, texts
from policies.parsers.pod_servers import serves
from policies.rules import pod_configuration, tunnels
from policies.rules.finding import Finding, KubernetesObject, Stack

RULES: Final = {
    "exposed-service": "no Service opens a port of the data tier to others, but to pods that speak nothing but TLS",
    "host-port": "no pod of the data tier listens on its node, but on loopback or with nothing but TLS",
    "network-policy": "a NetworkPolicy says who may reach each pod of the data tier, and none lets everybody in",
    **pod_configuration.RULES,
}
_WIDE: Final = frozenset({"NodePort", "LoadBalancer"})
_PORTS: Final = {
    2049: "NFS", 2379: "etcd", 2380: "etcd", 5432: "PostgreSQL", 6379: "Redis", 16379: "Redis", 26379: "Sentinel"
}  # fmt: skip
_NAMES: Final = re.compile(r"redis|valkey|sentinel|postgres|etcd|nfs", re.IGNORECASE)
_EVERYWHERE: Final = frozenset({"0.0.0.0/0", "::/0"})


def check_stack(stack: Stack) -> Iterator[tuple[KubernetesObject, Finding]]:
    """Find what is open to others, pods that no NetworkPolicy is about, and files that servers in pods are given."""
    made = [(thing, pods) for thing in stack.objects if (pods := kubernetes.pods(thing.kind, thing.inputs))]
    targets = {port: place for host in stack.hosts for port, place in tunnels.targets(host).items()}
    for thing in stack.objects:
        if thing.kind == "Service" and not _leads_to_tls(thing, made, stack):
            yield from ((thing, finding) for finding in _service(thing, targets))
    for thing, pods in made:
        for finding in (*_on_host(thing, pods, targets, stack), *pod_configuration.check(thing, pods, stack)):
            yield thing, finding
    yield from _unguarded(made, stack)


def _service(thing: KubernetesObject, targets: Mapping[int, str]) -> Iterator[Finding]:
    spec = part(thing.inputs, "spec")
    wide = spec.get("type") in _WIDE or bool(spec.get("externalIPs"))
    for at, port in enumerate(items(spec, "ports") if wide else ()):
        given = [port.get(key) for key in ("port", "targetPort", "name")]
        what = _of_data_tier(*given) or _of_tunnel(number_of(port.get("nodePort")), targets)
        if what is not None:
            yield Finding(
                rule="exposed-service",
                path=f"spec.ports[{at}]",
                value=f"{spec.get('type') or 'externalIPs'}: {number_of(port.get('port'))}",
                problem=f"opens a port of {what} on the nodes or on a load balancer, beside any tunnel",
                fix="write 'type: ClusterIP', have its pods speak nothing but TLS, or declare an exception",
            )


def _of_data_tier(*given: Any) -> str | None:  # noqa: ANN401 - whatever an object holds
    """Return whose port it is by its numbers and names."""
    known = (_PORTS.get(number) for each in given if (number := number_of(each)) is not None)
    named = (each for each in given if isinstance(each, str) and _NAMES.search(each))
    return next((each for each in (*known, *named) if each), None)


def _of_tunnel(port: int | None, targets: Mapping[int, str]) -> str | None:
    place = targets.get(port) if port is not None else None
    return f"what a tunnel leads to ({place}, {port})" if place else None


def _leads_to_tls(service: KubernetesObject, made: list[tuple[KubernetesObject, Pods]], stack: Stack) -> bool:
    """Tell whether all pods of this stack that a Service selects, and one at least, speak nothing but TLS."""
    selector = texts(part(service.inputs, "spec", "selector"))
    selected = [
        (thing, pods) for thing, pods in made if thing.namespace == service.namespace and pods.selected(selector)
    ]
    return bool(selected) and all(_speak_only_tls(thing, pods, stack) for thing, pods in selected)


def _speak_only_tls(thing: KubernetesObject, pods: Pods, stack: Stack) -> bool:
    """Tell whether pods have servers of Redis or Valkey, and these speak nothing but TLS."""
    known = list(pod_configuration.servers(thing, pods, stack))
    has_others = any(serves(each) == "postgres" for each in pods.containers)
    return bool(known) and not has_others and all(each.speaks_only_tls for each in known)


def _on_host(thing: KubernetesObject, pods: Pods, targets: Mapping[int, str], stack: Stack) -> Iterator[Finding]:
    if pods.on_host:
        what = next(filter(None, (_what(each, targets) for each in pods.containers)), None)
        if what is not None:
            yield Finding(
                rule="host-port",
                path="spec.hostNetwork",
                value="true",
                problem=f"{what} listens on the node itself, where no NetworkPolicy holds",
                fix="leave hostNetwork out, or declare an exception",
            )
        return
    for container in pods.containers:
        for port in container.ports:
            what = serves(container) or _of_data_tier(port.number, port.name, port.on_host)
            what = what or _of_tunnel(port.on_host, targets)
            is_open = port.on_host is not None and not is_loopback(port.address)
            if is_open and what is not None and not _speak_only_tls(thing, pods, stack):
                yield Finding(
                    rule="host-port",
                    path=f"containers.{container.name}.ports",
                    value=f"hostPort: {port.on_host}",
                    problem=f"opens a port of {what} on the node, beside any tunnel",
                    fix="leave hostPort out, write 'hostIP: 127.0.0.1', or have the pod speak nothing but TLS",
                )


def _what(container: Container, targets: Mapping[int, str]) -> str | None:
    """Return what a container in its node's network is of the data tier; None where it is nothing of that."""
    ports = (_of_data_tier(each.number, each.name) or _of_tunnel(each.number, targets) for each in container.ports)
    return serves(container) or next(filter(None, ports), None)


def _unguarded(made: list[tuple[KubernetesObject, Pods]], stack: Stack) -> Iterator[tuple[KubernetesObject, Finding]]:
    policies = [thing for thing in stack.objects if thing.kind == "NetworkPolicy"]
    # Who is let in adds up: what one policy opens no other one closes.
    open_ones: dict[str, KubernetesObject] = {}
    for thing, pods in made:
        served = next(((each, service) for each in pods.containers if (service := serves(each))), None)
        if served is None:
            continue
        about = [each for each in policies if each.namespace == thing.namespace and _is_about(each, pods)]
        open_ones.update({each.urn: each for each in about})
        if not about:
            container, service = served
            yield (
                thing,
                Finding(
                    rule="network-policy",
                    path=f"containers.{container.name}",
                    value=service,
                    problem="every pod of the cluster may connect",
                    fix="add a NetworkPolicy of type Ingress that selects these pods and names their clients",
                ),
            )
    for policy in open_ones.values():
        yield from ((policy, finding) for finding in _open_rules(policy))


def _is_about(policy: KubernetesObject, pods: Pods) -> bool:
    spec = part(policy.inputs, "spec")
    types = listed(spec.get("policyTypes", ["Ingress"]))
    return "Ingress" in types and kubernetes.label_selector(part(spec, "podSelector"), pods.labels)


def _open_rules(policy: KubernetesObject) -> Iterator[Finding]:
    """Find rules by which a NetworkPolicy of the data tier says nothing (NetworkPolicyIngressRule)."""
    for at, rule in enumerate(items(part(policy.inputs, "spec"), "ingress")):
        where = f"spec.ingress[{at}]"
        sources, ports = items(rule, "from"), items(rule, "ports")
        everybody = next(filter(None, map(_everybody, sources)), None)
        problems = (
            (f"{where}.from", everybody or "", "it lets everybody in", everybody is not None or not sources),
            (f"{where}.ports", "", "it opens every port", not ports or not all("port" in each for each in ports)),
        )
        for path, value, problem, is_open in problems:
            if is_open:
                yield Finding(
                    rule="network-policy",
                    path=path,
                    value=value,
                    problem=problem,
                    fix="name the clients by 'from' and what they dial by 'ports'",
                    note=policy.lacks(path),
                )


def _everybody(peer: Mapping[str, Any]) -> str | None:
    """Return what a peer says if it is everybody."""
    block = part(peer, "ipBlock")
    # Who leaves some addresses out has thought of the others.
    if block:
        cidr = str(block.get("cidr"))
        return cidr if cidr in _EVERYWHERE and not listed(block.get("except")) else None
    if "namespaceSelector" not in peer or any(_narrows(part(peer, f"{each}Selector")) for each in ("namespace", "pod")):
        return None
    return "namespaceSelector: {}"


def _narrows(selector: Mapping[str, Any]) -> bool:
    return bool(part(selector, "matchLabels") or listed(selector.get("matchExpressions")))
