"""Runs every family of checks over every host and cluster of a stack."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Final

from verification import facts, objects
from verification.cluster import ClusterSession, connected
from verification.connection import Connections, Session, UnreachableError
from verification.facts import Facts, FactsError, Question
from verification.families import FAMILIES
from verification.family import Family, Outcome, Survey
from verification.model import Cluster, Host, Stack
from verification.objects import Objects
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
    async with Connections() as connections, AsyncExitStack() as opened:
        sessions: dict[str, Session] = {}
        known: dict[str, Facts] = {}
        clusters: dict[str, ClusterSession] = {}
        seen: dict[str, Objects] = {}
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
            told = len(known) + len(away.keys() & stack.hosts.keys())
            progress(f"{told} of {len(stack.hosts)} hosts have told what they have")

        async def look(cluster: Cluster) -> None:
            try:
                session = await opened.enter_async_context(connected(cluster))
                seen[cluster.name] = await objects.look(session)
                clusters[cluster.name] = session
            except UnreachableError as error:
                away[cluster.name] = str(error)

        await asyncio.gather(*map(visit, stack.hosts.values()), *map(look, stack.clusters.values()))
        survey = Survey(
            stack=stack, connections=connections, sessions=sessions, facts=known, clusters=clusters, objects=seen
        )
        found = await asyncio.gather(*(_outcomes(family, survey) for family in FAMILIES))
    checks = [
        *_logins(stack.hosts, away, "answers under its pinned key"),
        *_logins(stack.clusters, away, "its API server answers, and shows what is there"),
    ]
    for family, outcomes in zip(FAMILIES, found, strict=True):
        checks += judge(
            family.name, outcomes, [each for each in away if each in stack.hosts or _looks_at_clusters(family)]
        )
    seconds = time.monotonic() - started
    return Report(checks=tuple(checks), seconds=seconds, lab=stack.lab, clusters=frozenset(stack.clusters))


def _logins(names: Iterable[str], away: Mapping[str, str], well: str) -> Iterator[Check]:
    for name in names:
        yield Check(name=LOGIN, host=name, ok=name not in away, detail=away.get(name, well))


def _looks_at_clusters(family: Family) -> bool:
    return family.cluster is not None or family.on_clusters


async def _facts(session: Session) -> Facts:
    questions: Iterable[Question] = (each for family in FAMILIES for each in family.questions(session.host))
    return facts.parse(await session.run_as_root(facts.SCRIPT, facts.ask(questions), _FACTS_LIMIT_S))


async def _outcomes(family: Family, survey: Survey) -> list[Outcome]:
    outcomes: list[Outcome] = []
    if family.judge is not None:
        judged = (family.judge(survey.stack, survey.stack.hosts[host], survey.facts[host]) for host in survey.facts)
        outcomes += filter(None, judged)
    if family.cluster is not None:
        seen = survey.objects
        looked = (family.cluster(survey.stack, survey.stack.clusters[name], seen[name]) for name in seen)
        outcomes += filter(None, looked)
    if family.probe is not None:
        outcomes += await family.probe(survey)
    return outcomes


def judge(family: str, outcomes: Iterable[Outcome], away: Iterable[str]) -> list[Check]:
    """Make checks of a family's outcomes: one a problem, and one for a host without.

    Args:
        family: Name of the family.
        outcomes: What it found; several for one host are put together.
        away: Hosts and clusters that could not be asked.
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
    missing = (Check(name=family, host=host, ok=False, detail="not done: it could not be asked") for host in away)
    return [*checks, *missing]
