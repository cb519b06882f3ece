"""What a family of checks is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from verification.cluster import ClusterSession
from verification.connection import Connections, Session
from verification.facts import Facts, Question
from verification.model import Cluster, Host, Stack
from verification.objects import Objects

#: How a problem begins that tells of something that could not be looked at.
NOT_DONE: Final = "not done: "


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a family found out about one host or cluster.

    Attributes:
        host: Its name.
        summary: What was looked at, in a few words; for the report of a host where all is well.
        problems: What is not well, or could not be looked at; a sentence each, without secrets.
    """

    host: str
    summary: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Survey:
    """All hosts and clusters that answered.

    Attributes:
        stack: What was declared.
        connections: Opens more connections.
        sessions: Open connections by host.
        facts: What each host has.
        clusters: Open connections by cluster.
        objects: What each cluster has.
    """

    stack: Stack
    connections: Connections
    sessions: Mapping[str, Session]
    facts: Mapping[str, Facts]
    clusters: Mapping[str, ClusterSession] = field(default_factory=dict)
    objects: Mapping[str, Objects] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Tell whether a host or cluster of this name answered."""
        return name in self.sessions or name in self.clusters

    def to(self, name: str) -> Session | ClusterSession:
        """Return the connection to a host or cluster."""
        return self.clusters[name] if name in self.clusters else self.sessions[name]


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
        cluster: The same as `judge` for a cluster.
        probe: Tries out what can only be tried, over open connections. Leaves no trace.
        on_clusters: Whether there is something of it on every cluster.
    """

    name: str
    summary: str
    questions: Callable[[Host], Iterable[Question]] = _nothing
    judge: Callable[[Stack, Host, Facts], Outcome | None] | None = None
    cluster: Callable[[Stack, Cluster, Objects], Outcome | None] | None = None
    probe: Callable[[Survey], Awaitable[Iterable[Outcome]]] | None = None
    on_clusters: bool = False


def counted(number: int, noun: str) -> str:
    """Write `1 file` or `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def about(what: object, problem: str) -> str:
    """Put before a problem what it is about; what could not be done begins with that all the same."""
    rest = problem.removeprefix(NOT_DONE)
    return f"{what} {problem}" if rest == problem else f"{NOT_DONE}{what}: {rest}"
