"""Services whose members tell by a command of their own how they are: a line each, "+ well" or "- not"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from verification.facts import Facts, Question
from verification.family import NOT_DONE, Family, Outcome, about
from verification.model import Cluster, Host, Pod, PodGroup, Stack
from verification.objects import Objects, unready


def family(
    service: str, summary: str, cluster: Callable[[Stack, Cluster, Objects], Outcome | None] | None = None
) -> Family:
    """Return the family of one service.

    Args:
        service: Its key in `Host.members`.
        summary: What holds when all is well.
        cluster: Tells how its members in pods are, where it can be in pods.
    """

    def questions(host: Host) -> Iterable[Question]:
        return (Question("member", command) for command in host.members.get(service, ()))

    def judge(_: Stack, host: Host, facts: Facts) -> Outcome | None:
        """Tell what is not well: that the command itself is as written is for `files` to say."""
        commands = host.members.get(service, ())
        if not commands:
            return None
        told = [line for command in commands for line in facts.members.get(command, ())]
        summary = "; ".join(line[2:] for line in told if line.startswith("+ "))
        problems = [each for command in commands for each in _problems(command, facts)]
        return Outcome(host=host.name, summary=summary, problems=tuple(problems))

    return Family(name=service, summary=summary, questions=questions, judge=judge, cluster=cluster)


def _problems(command: str, facts: Facts) -> Iterator[str]:
    told = facts.members.get(command, ())
    if not told:
        yield f"{NOT_DONE}{command} status: {facts.failures.get(('member', command), 'no answer')}"
    yield from (line[2:] for line in told if line.startswith("- "))


def in_pods(_: Stack, cluster: Cluster, objects: Objects) -> Outcome | None:
    """Tell which pods are missing or not ready, and what is not well in those that run."""
    if not cluster.groups:
        return None
    members = [(group, Pod(group.namespace, name)) for group in cluster.groups for name in group.members]
    told = [
        f"{pod}: {line[2:]}"
        for _, pod in members
        for line in (objects.told[pod].status if pod in objects.told else ())
        if line.startswith("+ ")
    ]
    problems = (about(pod, problem) for group, pod in members for problem in _problems_of(group, pod, objects))
    return Outcome(host=cluster.name, summary="; ".join(told), problems=tuple(problems))


def _problems_of(group: PodGroup, pod: Pod, objects: Objects) -> Iterator[str]:
    thing, told = objects.pods.get(pod), objects.told.get(pod)
    if thing is None:
        yield f"is missing: {group.name} has {len(group.members)} pods"
        return
    if why := unready(thing):
        yield f"is not ready: {why}"
    if told is None:
        yield "does not run"
    elif not told.status:
        yield f"{NOT_DONE}{group.command} status: {told.failure or 'no answer'}"
    else:
        yield from (line[2:] for line in told.status if line.startswith("- "))


REDIS: Final = family(
    "redis", "Every Redis server runs with what was written, and has its place in its group.", in_pods
)
POSTGRES: Final = family(
    "postgres", "One server of each pair leads, the other one is in sync, and both serve what was written."
)
