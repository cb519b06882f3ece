"""Services whose members tell by a command of their own how they are: a line each, "+ well" or "- not"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from verification.facts import Facts, Question
from verification.family import Family, Outcome
from verification.model import Host, Stack


def family(service: str, summary: str) -> Family:
    """Return the family of one service.

    Args:
        service: Its key in `Host.members`.
        summary: What holds when all is well.
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

    return Family(name=service, summary=summary, questions=questions, judge=judge)


def _problems(command: str, facts: Facts) -> Iterator[str]:
    told = facts.members.get(command, ())
    if not told:
        yield f"not done: {command} status: {facts.failures.get(('member', command), 'no answer')}"
    yield from (line[2:] for line in told if line.startswith("- "))


REDIS: Final = family("redis", "Every Redis server runs with what was written, and has its place in its group.")
POSTGRES: Final = family(
    "postgres", "One server of each pair leads, the other one is in sync, and both serve what was written."
)
