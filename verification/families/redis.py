"""Redis: every server runs with what was written, and has its place in its group."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from verification.facts import Facts, Question
from verification.family import Family, Outcome
from verification.model import Host, Stack


def questions(host: Host) -> Iterable[Question]:
    """Ask each node's own script, which asks the server as its manager."""
    return (Question("redis", script) for script in host.redis)


def judge(_: Stack, host: Host, facts: Facts) -> Outcome | None:
    """Tell what is not well: that the script itself is as written is for `files` to say."""
    if not host.redis:
        return None
    told = [line for script in host.redis for line in facts.redis.get(script, ())]
    summary = "; ".join(line[2:] for line in told if line.startswith("+ "))
    return Outcome(host=host.name, summary=summary, problems=tuple(_problems(host, facts)))


def _problems(host: Host, facts: Facts) -> Iterator[str]:
    for script in host.redis:
        if not facts.redis.get(script):
            yield f"not done: {script} status: {facts.failures.get(('redis', script), 'no answer')}"
        yield from (line[2:] for line in facts.redis.get(script, ()) if line.startswith("- "))


FAMILY: Final = Family(
    name="redis",
    summary="Every Redis server runs with what was written, and has its place in its group.",
    questions=questions,
    judge=judge,
)
