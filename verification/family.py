"""What a family of checks is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from verification.connection import Connections, Session
from verification.facts import Facts, Question
from verification.model import Host, Stack


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a family found out about one host.

    Attributes:
        host: Name of the host.
        summary: What was looked at, in a few words; for the report of a host where all is well.
        problems: What is not well, or could not be looked at; a sentence each, without secrets.
    """

    host: str
    summary: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Survey:
    """All hosts that answered.

    Attributes:
        stack: What was declared.
        connections: Opens more connections.
        sessions: Open connections by host.
        facts: What each host has.
    """

    stack: Stack
    connections: Connections
    sessions: Mapping[str, Session]
    facts: Mapping[str, Facts]


def _nothing(_: Host) -> Iterable[Question]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Family:
    """Checks that belong together. A module of `verification.families` makes one; the registry lists it.

    Attributes:
        name: Name in reports.
        summary: What holds where all is well, as a sentence.
        questions: What it needs to know of a host beyond listeners, connections and addresses.
        judge: Pure function of what is declared and what is; None where there is nothing to check on a host.
        probe: Tries out what can only be tried, over open connections. Leaves no trace.
    """

    name: str
    summary: str
    questions: Callable[[Host], Iterable[Question]] = _nothing
    judge: Callable[[Stack, Host, Facts], Outcome | None] | None = None
    probe: Callable[[Survey], Awaitable[Iterable[Outcome]]] | None = None


def counted(number: int, noun: str) -> str:
    """Write `1 file` or `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
