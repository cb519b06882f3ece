"""Listeners: nothing of the data tier listens beyond loopback, and what listens is what was declared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from verification.facts import Facts, Listener
from verification.family import NOT_DONE, Family, Outcome, about, counted
from verification.model import Cluster, Endpoint, Host, Pod, Stack
from verification.objects import Objects, Told

# Whatever port they are on. Not sshd: that is how hosts are administered.
_DATA_TIER: Final = frozenset({"haproxy", "redis-sentinel", "redis-server", "ssh", "valkey-sentinel", "valkey-server"})


def judge(stack: Stack, host: Host, facts: Facts) -> Outcome:
    """Compare what listens with what was declared."""
    ours = [each for each in facts.listeners if _is_of_data_tier(each, stack)]
    return Outcome(
        host=host.name,
        summary=f"{counted(len(ours), 'listener')} of the data tier, none beyond loopback unless declared",
        problems=(*_open(host, ours), *_absent(host, facts)),
    )


def _is_of_data_tier(listener: Listener, stack: Stack) -> bool:
    # HAProxy has unbound UDP sockets for what it sends to a log, so a datagram socket counts by its port alone.
    named = listener.protocol == "tcp" and _DATA_TIER & set(listener.processes)
    return listener.endpoint.port in stack.sealed_ports or bool(named)


def _open(host: Host, listeners: list[Listener]) -> Iterator[str]:
    for each in listeners:
        guarded = each.protocol == "tcp" and each.endpoint.port in host.guarded
        if not each.endpoint.loopback and not guarded and not host.declares(each.endpoint):
            who = ", ".join(each.processes) or "a process that cannot be named"
            yield f"{who} listens on {each.protocol} {each.endpoint}, which others reach"


def _absent(host: Host, facts: Facts) -> Iterator[str]:
    """A port that its owner does not hold is there for any local program to take, and to be told the password."""
    for endpoint, process in host.listeners.items():
        holders = [each for each in facts.listeners if each.protocol == "tcp" and _takes(each.endpoint, endpoint)]
        strangers = sorted({name for each in holders for name in each.processes} - {process, "systemd"})
        if not holders:
            yield f"nothing listens on {endpoint}, where {process} should"
        elif strangers:
            yield f"{', '.join(strangers)} listens on {endpoint} instead of {process}"


def _takes(real: Endpoint, declared: Endpoint) -> bool:
    wide = {"*", "0.0.0.0", "::"}  # noqa: S104 - to recognise them
    return real.port == declared.port and (real.address == declared.address or {real.address, declared.address} <= wide)


def in_pods(_: Stack, cluster: Cluster, objects: Objects) -> Outcome | None:
    """Tell what listens in pods of groups beside the one port of each."""
    ports = {Pod(group.namespace, name): port for group in cluster.groups for name, (_, port) in group.members.items()}
    if not ports:
        return None
    problems = (about(pod, each) for pod, port in ports.items() for each in _beside(port, objects.told.get(pod)))
    summary = f"{counted(len(ports), 'pod')} listen on their TLS port and on no other"
    return Outcome(host=cluster.name, summary=summary, problems=tuple(problems))


def _beside(port: int, told: Told | None) -> Iterator[str]:
    if told is None or told.listeners is None:
        yield f"{NOT_DONE}{(told and told.failure) or 'it does not tell what listens in it'}"
        return
    for each in dict.fromkeys(told.listeners):
        if not each.loopback and each.port != port:
            yield f"has something that listens on tcp {each}, beside port {port}"
    if port not in {each.port for each in told.listeners}:
        yield f"has nothing that listens on port {port}"


FAMILY: Final = Family(
    name="listeners",
    summary="Nothing of the data tier listens beyond loopback unless it is declared, or closed by the firewall.",
    judge=judge,
    cluster=in_pods,
)
