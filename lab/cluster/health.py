"""Why a lab's cluster is not well: what a person would look at one after the other, on its nodes and by its API."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lab.console import LabError
from lab.machine import LabHost
from lab.settings import CONTROL_PLANE, HOST_LABEL, LAB_LABEL, NODE_LABEL, WORKER

_UNITS: Final = {
    WORKER: ("cluster-node", "containerd", "cluster-pods", "kubelet", "kube-proxy", "kube-network-policies"),
    CONTROL_PLANE: ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
}
"""What runs on a node; on the control plane, what runs on a worker too."""
_QUOTED_LINES: Final = 5
"""How much of a unit's journal is shown."""


def nodes(lab: str) -> dict[str, list[LabHost]]:
    """The nodes of a lab's cluster, also those that are down: those with the control plane, and the workers.

    Raises:
        LabError: There is no lab of this name, or it has no cluster.
    """
    labels = f'{{{{.Label "{NODE_LABEL}"}}}} {{{{.Label "{HOST_LABEL}"}}}}'
    filters = (f"--filter=label={LAB_LABEL}={lab}", f"--filter=label={NODE_LABEL}")
    listing = subprocess.run(
        ["docker", "ps", "--all", *filters, "--format", labels], capture_output=True, text=True, check=True
    )
    found: dict[str, list[LabHost]] = {CONTROL_PLANE: [], WORKER: []}
    for line in sorted(listing.stdout.splitlines()):
        part, host = line.split()
        found[part].append(LabHost(host, lab))
    if not found[CONTROL_PLANE]:
        raise LabError(f"lab {lab!r} has no cluster: set lab.cluster, or name another lab (python -m lab status)")
    return found


def kubectl(lab: str, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
    """What kubectl writes as an administrator, on the control plane.

    Raises:
        LabError: There is no cluster.
        CommandError: kubectl failed although `check` is set, with what it said.
    """
    head = nodes(lab)[CONTROL_PLANE][0]
    command = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.kubeconfig", *arguments)
    return head.run(command, stdin=stdin, check=check).stdout


def problems(lab: str) -> list[str]:
    """Everything that is not as it should be, causes before what follows from them.

    Raises:
        LabError: There is no cluster.
    """
    known = nodes(lab)
    found = [problem for host in known[CONTROL_PLANE] for problem in _on(host, CONTROL_PLANE, WORKER)]
    found += [problem for host in known[WORKER] for problem in _on(host, WORKER)]
    readiness = kubectl(lab, "get", "--raw", "/readyz", check=False)
    if readiness != "ok":
        return [*found, f"the API server is not ready: {readiness or 'it does not answer'}"]
    found += [problem for each in _items(lab, "nodes") for problem in not_ready(each)]
    return found + [problem for each in _items(lab, "pods", "--all-namespaces") for problem in not_running(each)]


def _on(host: LabHost, *parts: str) -> Iterator[str]:
    """What is wrong with a host and its units."""
    running = host.run(["true"], check=False)
    if running.returncode:
        yield f"{host.name} is down: {running.stderr.strip()}"
        return
    for unit in (unit for part in parts for unit in _UNITS[part]):
        state = host.run(["systemctl", "is-active", unit], check=False).stdout.strip()
        if state != "active":
            said = host.run(
                ["journalctl", "--quiet", "--output=cat", f"--unit={unit}", f"--lines={_QUOTED_LINES}"], check=False
            )
            yield f"{host.name}: {unit} is {state}:\n{said.stdout.rstrip()}"


def _items(lab: str, *what: str) -> list[Mapping[str, Any]]:
    return list(json.loads(kubectl(lab, "get", *what, "--output=json"))["items"])


def not_ready(node: Mapping[str, Any]) -> Iterator[str]:
    """What keeps a node from being ready."""
    conditions = {each["type"]: each for each in node["status"].get("conditions", ())}
    ready = conditions.get("Ready", {"status": "Unknown", "message": "kubelet never said anything"})
    if ready["status"] != "True":
        yield f"node {node['metadata']['name']} is not ready: {ready['message']}"


def not_running(pod: Mapping[str, Any]) -> Iterator[str]:
    """What keeps a pod, and each of its containers, from running."""
    name = f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']}"
    status = pod["status"]
    if status["phase"] == "Succeeded":
        return
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            yield f"{name} has no node: {condition.get('message', 'the scheduler has not looked at it')}"
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waits = container["state"].get("waiting") or container["state"].get("terminated")
        if waits and waits.get("reason") != "Completed":
            last = container.get("lastState", {}).get("terminated", {})
            why = waits.get("message") or last.get("reason") or ""
            yield f"{name}: container {container['name']} is {waits['reason']}: {why}".removesuffix(": ")
        elif "running" in container["state"] and not container["ready"]:
            yield f"{name}: container {container['name']} runs, but its readiness probe fails"
