"""Firewall: the kernel has the rules that the stack wrote, and no other ones in their table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from verification.facts import Facts, Question
from verification.family import Family, Outcome
from verification.model import Host, Stack
from verification.stack import RULES


def questions(host: Host) -> Iterable[Question]:
    """Ask how the kernel's table differs from what its file would make."""
    if RULES in host.files:
        yield Question("table", RULES)


def judge(_: Stack, host: Host, facts: Facts) -> Outcome | None:
    """Look for differences; that the file itself is as written is for `files` to say."""
    if RULES not in host.files:
        return None
    return Outcome(host=host.name, summary=f"the kernel has the rules of {RULES}", problems=tuple(_problems(facts)))


def _problems(facts: Facts) -> Iterator[str]:
    if RULES not in facts.tables:
        yield f"not done: the kernel's rules could not be compared: {facts.failures.get(('table', RULES), 'no answer')}"
        return
    for line in facts.tables[RULES]:
        sign, _, rule = line.partition(" ")
        yield f"the kernel {'has' if sign == '+' else 'lacks'} {rule.strip()!r}"


FAMILY: Final = Family(
    name="firewall",
    summary="The kernel has the firewall's rules as they were written.",
    questions=questions,
    judge=judge,
)
