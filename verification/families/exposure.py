"""Exposure: whoever tries the data tier's ports from elsewhere is refused, or not answered at all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Final

import asyncssh

from verification.connection import ClosedError, Session
from verification.family import Family, Outcome, Survey, counted
from verification.model import Endpoint, Stack

Interface = IPv4Interface | IPv6Interface

_ANSWER_WITHIN_S: Final = 3.0
_PARALLEL: Final = 256
_VANTAGE_POINTS: Final = 8  # for each host; with hundreds of them, every pair would be hundreds of thousands


class Answer(Enum):
    """How an address took an attempt to connect."""

    REFUSED = "refused"
    SILENT = "silent"
    OPEN = "open"
    UNKNOWN = "not tried"


@dataclass(frozen=True)
class Attempt:
    """One attempt to connect.

    Attributes:
        source: Host that tried.
        target: Host that was tried.
        endpoint: Its address and port.
    """

    source: str
    target: str
    endpoint: Endpoint


async def probe(survey: Survey) -> Iterable[Outcome]:
    """Try every port of the data tier on every host's addresses."""
    limit = asyncio.Semaphore(_PARALLEL)
    attempts = list(plan(survey.stack, {host: facts.interfaces for host, facts in survey.facts.items()}))

    async def one(attempt: Attempt) -> Answer:
        async with limit:
            return await _connect(survey.sessions[attempt.source], attempt.endpoint)

    answers = await asyncio.gather(*map(one, attempts))
    return judge(survey.stack, survey.facts, list(zip(attempts, answers, strict=True)))


async def _connect(session: Session, endpoint: Endpoint) -> Answer:
    try:
        async with session.dial(endpoint, _ANSWER_WITHIN_S):
            return Answer.OPEN
    except TimeoutError:
        return Answer.SILENT
    except ClosedError as error:
        return Answer.REFUSED if "refused" in str(error).lower() else Answer.SILENT
    except (asyncssh.Error, OSError):
        return Answer.UNKNOWN


def plan(stack: Stack, interfaces: Mapping[str, tuple[str, ...]]) -> Iterator[Attempt]:
    """List what to try: each host from itself, and from hosts that have no part in the data tier.

    Args:
        stack: What is declared.
        interfaces: Addresses beyond loopback of every host that answered, with their prefixes: `192.0.2.11/24`.
    """
    known = {name: tuple(map(ip_interface, mine)) for name, mine in interfaces.items()}
    names = sorted(known)
    outsiders = [name for name in names if not stack.hosts[name].roles]
    for at, target in enumerate(names):
        host = stack.hosts[target]
        others = [name for name in outsiders if name != target] or names[at + 1 :] + names[:at]
        for source in (target, *others[:_VANTAGE_POINTS]):
            for address in sorted(_dialled(known[target], None if source == target else known[source], host.address)):
                for port in sorted(stack.sealed_ports):
                    endpoint = Endpoint(address, port)
                    # A firewall lets the host through to itself, by loopback or by any of its addresses.
                    itself = source == target and (host.declares(endpoint) or port in host.guarded)
                    if not itself and endpoint not in host.exposed:
                        yield Attempt(source, target, endpoint)


def _dialled(target: Iterable[Interface], source: Iterable[Interface] | None, known_as: str) -> set[str]:
    """The addresses by which a host is tried from another one, or from itself if there is no other one."""
    own = {str(each.ip) for each in target}
    if source is None:
        return own
    # Beyond the other one's networks somebody else may have the address, such as that of a bridge of containers.
    near = {str(each.ip) for each in target if any(each.ip in other.network for other in source)}
    # An address that both have would lead back. What others dial may be translated on its way, so it counts too.
    return (near | {known_as}) - {str(each.ip) for each in source}


def judge(stack: Stack, hosts: Iterable[str], tried: list[tuple[Attempt, Answer]]) -> list[Outcome]:
    """Say for every host what answered."""
    if not stack.sealed_ports:
        return []
    outcomes = []
    for host in hosts:
        here = [(attempt, answer) for attempt, answer in tried if attempt.target == host]
        problems = [
            f"{attempt.endpoint} answers {'the host itself' if attempt.source == host else attempt.source}"
            for attempt, answer in here
            if answer is Answer.OPEN
        ]
        problems += [
            f"not done: {attempt.endpoint} could not be tried from {attempt.source}"
            for attempt, answer in here
            if answer is Answer.UNKNOWN
        ]
        sources = sorted({attempt.source for attempt, _ in here} - {host})
        if not sources:
            problems.append("not done: there is no other host to try it from")
        counts = Counter(answer for _, answer in here)
        summary = (
            f"{counted(len(here), 'attempt')} from itself and {', '.join(sources)}: "
            f"{counts[Answer.REFUSED]} refused, {counts[Answer.SILENT]} unanswered"
        )
        outcomes.append(Outcome(host=host, summary=summary, problems=tuple(problems)))
    return outcomes


FAMILY: Final = Family(
    name="exposure",
    summary="From other hosts, and on its own addresses beyond loopback, no port of the data tier answers.",
    probe=probe,
)
