"""Runs every family of checks over every host of a stack."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

from verification import facts
from verification.connection import Connections, Session, UnreachableError
from verification.facts import Facts, FactsError, Question
from verification.families import FAMILIES
from verification.family import Family, Outcome, Survey
from verification.model import Host, Stack
from verification.report import LOGIN, Check, Report

_PARALLEL: Final = 32  # hosts that are being connected to and asked at the same time
_FACTS_LIMIT_S: Final = 60.0

Progress = Callable[[str], None]


async def verify(stack: Stack, progress: Progress) -> Report:
    """Verify a stack.

    Args:
        stack: What it declares.
        progress: Is told what is going on.
    """
    started = time.monotonic()
    async with Connections() as connections:
        sessions: dict[str, Session] = {}
        known: dict[str, Facts] = {}
        away: dict[str, str] = {}
        limit = asyncio.Semaphore(_PARALLEL)

        async def visit(host: Host) -> None:
            async with limit:
                try:
                    sessions[host.name] = await connections.to(host)
                    known[host.name] = await _facts(sessions[host.name])
                except (UnreachableError, FactsError) as error:
                    sessions.pop(host.name, None)
                    away[host.name] = str(error)
            progress(f"{len(known) + len(away)} of {len(stack.hosts)} hosts have told what they have")

        await asyncio.gather(*map(visit, stack.hosts.values()))
        survey = Survey(stack=stack, connections=connections, sessions=sessions, facts=known)
        found = await asyncio.gather(*(_outcomes(family, survey) for family in FAMILIES))
    checks = [
        Check(name=LOGIN, host=host, ok=host in known, detail=away.get(host, "answers under its pinned key"))
        for host in stack.hosts
    ]
    for family, outcomes in zip(FAMILIES, found, strict=True):
        checks += judge(family.name, outcomes, away)
    return Report(checks=tuple(checks), seconds=time.monotonic() - started, lab=stack.lab)


async def _facts(session: Session) -> Facts:
    questions: Iterable[Question] = (each for family in FAMILIES for each in family.questions(session.host))
    return facts.parse(await session.run_as_root(facts.SCRIPT, facts.ask(questions), _FACTS_LIMIT_S))


async def _outcomes(family: Family, survey: Survey) -> list[Outcome]:
    outcomes: list[Outcome] = []
    if family.judge is not None:
        judged = (family.judge(survey.stack, survey.stack.hosts[host], survey.facts[host]) for host in survey.facts)
        outcomes += filter(None, judged)
    if family.probe is not None:
        outcomes += await family.probe(survey)
    return outcomes


def judge(family: str, outcomes: Iterable[Outcome], away: Iterable[str]) -> list[Check]:
    """Make checks of a family's outcomes: one a problem, and one for a host without.

    Args:
        family: Name of the family.
        outcomes: What it found; several for one host are put together.
        away: Hosts that could not be asked.
    """
    by_host: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_host.setdefault(outcome.host, []).append(outcome)
    checks = []
    for host, mine in sorted(by_host.items()):
        problems = [problem for outcome in mine for problem in outcome.problems]
        summary = "; ".join(outcome.summary for outcome in mine if outcome.summary)
        checks += [Check(name=family, host=host, ok=False, detail=problem) for problem in problems] or [
            Check(name=family, host=host, ok=True, detail=summary)
        ]
    missing = (Check(name=family, host=host, ok=False, detail="not done: the host could not be asked") for host in away)
    return [*checks, *missing]
