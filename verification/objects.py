"""What a cluster really has: the stack's objects, what is beside them, and what pods tell of themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from policies.parsers.kubernetes import items, part, texts
from verification.cluster import ClusterSession, Object
from verification.connection import UnreachableError
from verification.model import Endpoint, Pod, PodGroup, Written

_PARALLEL: Final = 16  # requests to one API server at the same time
_TOLD_LIMIT_S: Final = 45.0
# What is called how in paths of the API server. A Job says that one `up` ended well, and anybody may delete it then.
_PLURALS: Final[Mapping[str, str]] = {
    "ConfigMap": "configmaps",
    "NetworkPolicy": "networkpolicies",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "Secret": "secrets",
    "Service": "services",
    "SpinnakerService": "spinnakerservices",
    "StatefulSet": "statefulsets",
}
# What may open a group to others although the stack did not write it.
_BESIDE: Final[Mapping[str, str]] = {
    "Service": "/api/v1/namespaces/{}/services",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
}
_PODS: Final = "/api/v1/namespaces/{}/pods"
_SOCKETS: Final = "#=sockets"
_LISTENS: Final = "0A"  # proc_pid_net(5): TCP_LISTEN


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a pod tells of itself.

    Attributes:
        status: Lines of its group's command, which begin with `+` (well) or `-` (not).
        listeners: Where something listens for TCP in it; None where that cannot be seen.
        failure: Why it could not be asked; empty when it could.
    """

    status: tuple[str, ...] = ()
    listeners: tuple[Endpoint, ...] | None = None
    failure: str = ""


@dataclass(frozen=True, kw_only=True)
class Objects:
    """One cluster.

    Attributes:
        objects: What there is of the stack's objects, by URN; those that are missing are not in it.
        pods: All pods of the groups' namespaces.
        beside: Services and NetworkPolicies of the groups' namespaces by kind, with those of the stack.
        told: What members of groups tell of themselves.
        failures: Why something could not be looked at, by URN.
    """

    objects: Mapping[str, Object] = field(default_factory=dict, repr=False)
    pods: Mapping[Pod, Object] = field(default_factory=dict, repr=False)
    beside: Mapping[str, tuple[Object, ...]] = field(default_factory=dict, repr=False)
    told: Mapping[Pod, Told] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)


async def look(session: ClusterSession) -> Objects:
    """Look at everything that the families judge.

    Raises:
        UnreachableError: When the cluster does not answer, or does not show what is in the groups' namespaces.
    """
    cluster, limit = session.cluster, asyncio.Semaphore(_PARALLEL)

    async def listed(path: str) -> tuple[Object, ...]:
        async with limit:
            return tuple(items(await session.get(path) or {}, "items"))

    async def found(written: Written) -> tuple[Object | None, str]:
        async with limit:
            try:
                return await session.get(_path(written)), ""
            except UnreachableError as error:
                return None, str(error)

    async def told(group: PodGroup, name: str) -> Told:
        async with limit:
            return await _told(session, group, name)

    await session.get("/version")
    namespaces = sorted({group.namespace for group in cluster.groups})
    pods = [pod for space in namespaces for pod in await listed(_PODS.format(space))]
    known = {Pod(pod["metadata"]["namespace"], pod["metadata"]["name"]): pod for pod in pods}
    beside = {
        kind: tuple([each for space in namespaces for each in await listed(path.format(space))])
        for kind, path in _BESIDE.items()
    }
    written = [each for each in cluster.objects if looked_at(each)]
    objects = dict(zip(written, await asyncio.gather(*map(found, written)), strict=True))
    asked = {
        Pod(group.namespace, name): told(group, name)
        for group in cluster.groups
        for name in group.members
        if runs(known.get(Pod(group.namespace, name), {}))
    }
    return Objects(
        objects={each.urn: thing for each, (thing, _) in objects.items() if thing is not None},
        pods=known,
        beside=beside,
        told=dict(zip(asked, await asyncio.gather(*asked.values()), strict=True)),
        failures={each.urn: why for each, (_, why) in objects.items() if why},
    )


def _path(written: Written) -> str:
    api = written.token.removeprefix("kubernetes:").rpartition(":")[0]
    root = "/api/v1" if api == "core/v1" else f"/apis/{api}"
    return f"{root}/namespaces/{written.namespace}/{_PLURALS[_kind(written)]}/{written.name}"


async def _told(session: ClusterSession, group: PodGroup, name: str) -> Told:
    container, _ = group.members[name]
    script = f"{group.command} status || :; echo '{_SOCKETS}'; cat /proc/net/tcp; cat /proc/net/tcp6 2>/dev/null || :"
    try:
        text = await session.run(Pod(group.namespace, name), container, script, _TOLD_LIMIT_S)
    except UnreachableError as error:
        return Told(failure=str(error))
    status, _, sockets = text.partition(f"{_SOCKETS}\n")
    return Told(status=tuple(status.splitlines()), listeners=tuple(_listeners(sockets)) if sockets else None)


def _listeners(text: str) -> Iterator[Endpoint]:
    """Read proc_pid_net(5): number, near end, far end, state."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[3] == _LISTENS:  # noqa: PLR2004
            address, _, port = fields[1].partition(":")
            words = (bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8))
            yield Endpoint(str(ip_address(b"".join(words))), int(port, 16))


def looked_at(written: Written) -> bool:
    """Tell whether an object of the stack is compared with what there is."""
    return _kind(written) in _PLURALS


def _kind(written: Written) -> str:
    return written.kind.removesuffix("Patch")


def labels(thing: Object) -> dict[str, str]:
    """Return an object's labels."""
    return texts(part(thing, "metadata", "labels"))


def runs(pod: Object) -> bool:
    """Tell whether commands can be run in a pod."""
    return part(pod, "status").get("phase") == "Running"


def unready(pod: Object) -> str:
    """Say why a pod is not ready; empty if it is."""
    status = part(pod, "status")
    ready = next((each for each in items(status, "conditions") if each.get("type") == "Ready"), {})
    if ready.get("status") == "True":
        return ""
    waiting = (part(each, "state", "waiting").get("reason") for each in items(status, "containerStatuses"))
    reasons = (*waiting, ready.get("message"), ready.get("reason"), status.get("phase"))
    return str(next(filter(None, reasons), "no word"))
