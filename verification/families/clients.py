"""Clients: whoever is connected to the data tier right now came through loopback."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from verification.facts import Facts, Question
from verification.family import Family, Outcome, counted
from verification.model import Balancer, Endpoint, Host, Stack

_OWN: Final = "GLOBAL"  # the frontend of HAProxy's own socket


def questions(host: Host) -> Iterable[Question]:
    """Ask each HAProxy for its sessions."""
    return (Question("sessions", balancer.socket) for balancer in host.balancers)


def judge(stack: Stack, host: Host, facts: Facts) -> Outcome:
    """Look at the far end of every connection, as the kernel and as HAProxy see it."""
    listening = {each.endpoint.port for each in facts.listeners} & stack.sealed_ports
    taken = [(near, far) for near, far in facts.connections if near.port in listening]
    problems = [
        f"{far.address} is connected to {near}"
        for near, far in dict.fromkeys(taken)
        if not near.loopback and not far.loopback and not host.declares(near)
    ]
    for balancer in host.balancers:
        problems += _of_balancer(balancer, facts)
    return Outcome(
        host=host.name,
        summary=f"{counted(len(taken), 'connection')} to the data tier, all from loopback unless declared",
        problems=tuple(dict.fromkeys(problems)),
    )


def _of_balancer(balancer: Balancer, facts: Facts) -> Iterator[str]:
    if balancer.socket not in facts.sessions:
        reason = facts.failures.get(("sessions", balancer.socket), "no answer")
        yield f"not done: HAProxy does not tell its sessions on {balancer.socket}: {reason}"
    for session in facts.sessions.get(balancer.socket, ()):
        source = Endpoint.of(session.source)
        local = session.source.startswith("unix:") or (source is not None and source.loopback)
        if not local and session.frontend != _OWN and session.frontend not in balancer.exposed:
            yield f"HAProxy serves {source.address if source else session.source} on frontend {session.frontend}"


FAMILY: Final = Family(
    name="clients",
    summary="Whoever is connected to the data tier right now came through loopback.",
    questions=questions,
    judge=judge,
)
