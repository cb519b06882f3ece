"""Objects: clusters have what the stack wrote, as it wrote it, and nothing beside it that lets others in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any, Final

from policies.parsers.kubernetes import items, part, texts
from verification.cluster import Object
from verification.family import NOT_DONE, Family, Outcome, about, counted
from verification.model import Cluster, PodGroup, Stack, Written
from verification.objects import Objects, labels, looked_at

_SHOWN: Final = 3  # differences of one object
# What the API server and controllers keep there for themselves.
_OWN: Final = frozenset({"apiVersion", "kind", "metadata", "status", "stringData"})
# An object that others own, or that a controller of theirs fills: what was asked for has to be in it.
_SHARED: Final = ("Patch", "SpinnakerService")
_HIDDEN: Final = frozenset({"ConfigMap", "Secret", "SpinnakerService"})  # of these no value is shown
_JOB: Final = "Job"


def judge(_: Stack, cluster: Cluster, objects: Objects) -> Outcome | None:
    """Compare the stack's objects with what there is, and look at what is beside them."""
    written = [each for each in cluster.objects if looked_at(each)]
    problems = chain(
        (about(each, problem) for each in written for problem in _drift(each, objects)),
        (problem for group in cluster.groups for problem in _beside(group, cluster, objects)),
    )
    secret = sum(each.kind == "Secret" for each in written)
    summary = f"{counted(len(written), 'object')} as written, {secret} of them secret"
    return Outcome(host=cluster.name, summary=summary, problems=tuple(problems))


def _drift(written: Written, objects: Objects) -> Iterator[str]:
    if written.urn in objects.failures:
        yield f"{NOT_DONE}{objects.failures[written.urn]}"
        return
    there = objects.objects.get(written.urn)
    if there is None:
        yield "is missing: run `pulumi up --refresh`"
        return
    shared = written.token.endswith(_SHARED)
    known = written.asked if shared else written.content
    found = [
        *_differences("metadata.labels", part(written.asked, "metadata", "labels"), labels(there), whole=False),
        *(
            each
            for key in sorted(({*known} if shared else {*known, *there}) - _OWN)
            if not key.startswith("__")
            for each in _differences(key, known.get(key), there.get(key), whole=not shared)
        ),
    ]
    for where, had, has in islice(found, _SHOWN):
        yield f"is not what the stack wrote: {where}{'' if written.kind in _HIDDEN else _told(had, has)}"
    if len(found) > _SHOWN:
        yield f"differs in {len(found) - _SHOWN} more places"


def _told(had: Any, has: Any) -> str:  # noqa: ANN401 - whatever an object holds
    if isinstance(had, Mapping | list) or isinstance(has, Mapping | list):
        return ""
    return f" is {_word(has)}, not {_word(had)}"


def _word(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a state has no other numbers
    return "not set" if value is None else repr(value)


def _differences(where: str, had: Any, has: Any, *, whole: bool) -> Iterator[tuple[str, Any, Any]]:  # noqa: ANN401
    """Yield the places in which two values differ, with both.

    Args:
        where: Path of the value.
        had: What was written.
        has: What there is.
        whole: Whether there may be nothing beside what was written.
    """
    if isinstance(had, Mapping) and isinstance(has, Mapping):
        for key in had if not whole else {**had, **has}:
            yield from _differences(f"{where}.{key}", had.get(key), has.get(key), whole=whole)
    elif isinstance(had, list) and isinstance(has, list) and len(had) == len(has):
        for at, (one, other) in enumerate(zip(had, has, strict=True)):
            yield from _differences(f"{where}[{at}]", one, other, whole=whole)
    # What is empty may mean everybody: `namespaceSelector: {}` is another thing than none.
    elif had != has:
        yield where, had, has


def _beside(group: PodGroup, cluster: Cluster, objects: Objects) -> Iterator[str]:
    """What others made: policies add up, Services lead to pods by labels, and labels are what policies go by."""
    ours = {(each.kind, each.namespace, each.name) for each in cluster.objects}
    for kind, things in objects.beside.items():
        for thing in things:
            metadata = part(thing, "metadata")
            name = (kind, str(metadata.get("namespace")), str(metadata.get("name")))
            if name[1] == group.namespace and name not in ours and _is_about(kind, thing, group):
                yield f"{kind} {name[1]}/{name[2]} was not written by the stack, and {_opens(kind)} {group.name}"
    for pod, thing in objects.pods.items():
        alike = pod.namespace == group.namespace and group.labels.items() <= labels(thing).items()
        if alike and pod.name not in group.members and not _is_of_job(thing, cluster):
            yield f"Pod {pod} was not written by the stack, and is let in by the labels of {group.name}"


def _is_about(kind: str, thing: Object, group: PodGroup) -> bool:
    """Tell whether an object leads to pods of a group, or lets somebody in to them."""
    spec = part(thing, "spec")
    if kind == "Service":
        selector = texts(part(spec, "selector"))
        return bool(selector) and _may_select(selector, group)
    chosen = part(spec, "podSelector")
    # An expression may select anything.
    selects = bool(chosen.get("matchExpressions")) or _may_select(texts(part(chosen, "matchLabels")), group)
    return selects and bool(items(spec, "ingress"))


def _may_select(selector: Mapping[str, str], group: PodGroup) -> bool:
    """Tell whether a selector contradicts none of the labels that all pods of the group have, and asks for no other."""
    parts = {"app.kubernetes.io/component", "statefulset.kubernetes.io/pod-name"}
    return all(key in parts or group.labels.get(key) == value for key, value in selector.items())


def _opens(kind: str) -> str:
    return "leads to pods of" if kind == "Service" else "lets somebody in to"


def _is_of_job(pod: Object, cluster: Cluster) -> bool:
    jobs = {each.name for each in cluster.objects if each.kind == _JOB}
    owners = items(part(pod, "metadata"), "ownerReferences")
    return any(each.get("kind") == _JOB and each.get("name") in jobs for each in owners)


FAMILY: Final = Family(
    name="objects",
    summary="Clusters have the objects that the stack wrote, and nothing beside them that lets others in.",
    cluster=judge,
)
