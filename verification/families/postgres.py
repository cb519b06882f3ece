"""PostgreSQL: one of two leads, the other one is in sync, on the same timeline, and both serve what was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from verification.facts import Facts, Question
from verification.family import Family, Outcome
from verification.model import Host, Stack


def questions(host: Host) -> Iterable[Question]:
    """Ask each member's own command, which asks Patroni, PostgreSQL and etcd."""
    return (Question("postgres", command) for command in host.postgres)


def judge(_: Stack, host: Host, facts: Facts) -> Outcome | None:
    """Tell what is not well: that the command itself is as written is for `files` to say."""
    if not host.postgres:
        return None
    told = [line for command in host.postgres for line in facts.postgres.get(command, ())]
    summary = "; ".join(line[2:] for line in told if line.startswith("+ "))
    return Outcome(host=host.name, summary=summary, problems=tuple(_problems(host, facts)))


def _problems(host: Host, facts: Facts) -> Iterator[str]:
    for command in host.postgres:
        if not facts.postgres.get(command):
            yield f"not done: {command} status: {facts.failures.get(('postgres', command), 'no answer')}"
        yield from (line[2:] for line in facts.postgres.get(command, ()) if line.startswith("- "))


FAMILY: Final = Family(
    name="postgres",
    summary="One server of each pair leads, the other one is in sync, and both serve what was written.",
    questions=questions,
    judge=judge,
)
