"""Rules: pure functions over files and commands. `check_files` and `check_command` apply all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from policies.rules import (
    certificates,
    host_keys,
    kubernetes,
    kubernetes_exposure,
    listeners,
    plaintext,
    postgres,
    redis_access,
    secrets,
    spinnaker,
    tunnel_hardening,
    virtual_ips,
)
from policies.rules.finding import Command, Finding, HostFiles, Issued, KubernetesObject, Stack

__all__ = [
    "FAMILIES",
    "Command",
    "Family",
    "Finding",
    "HostFiles",
    "Issued",
    "KubernetesObject",
    "Stack",
    "StackCheck",
    "check_command",
    "check_files",
]


#: Checks objects that need others, and says which one is meant.
StackCheck = Callable[[Stack], Iterator[tuple[KubernetesObject, Finding]]]


def _none(*_: object) -> Iterator[Finding]:
    return iter(())


def _each(*checks: Callable[[KubernetesObject], Iterator[Finding]]) -> Callable[[KubernetesObject], Iterator[Finding]]:
    return lambda thing: chain.from_iterable(check(thing) for check in checks)


@dataclass(frozen=True, kw_only=True)
class Family:
    """Rules that belong together; the pack makes one policy of it.

    Attributes:
        name: Name of the policy.
        summary: What holds where it is kept, as a sentence.
        rules: What each rule asks for, by identifier.
        files: Checks files.
        command: Checks a command.
        issued: Checks a key, a request or a certificate, under the family's options.
        thing: Checks an object of Kubernetes.
        stack: Checks the objects of Kubernetes of a whole stack, beside its hosts; a family has this or the others.
        options: JSON schema of its options by name, each with a default.
    """

    name: str
    summary: str
    rules: Mapping[str, str]
    files: Callable[[HostFiles], Iterator[Finding]] = _none
    command: Callable[[Command], Iterator[Finding]] = _none
    issued: Callable[[Issued, Mapping[str, Any]], Iterator[Finding]] = _none
    thing: Callable[[KubernetesObject], Iterator[Finding]] = _none
    stack: StackCheck | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


FAMILIES: Final = (
    Family(
        name="bind-to-localhost",
        summary="Nothing of the data tier listens beyond loopback unless it is declared.",
        rules=listeners.RULES,
        files=listeners.check,
    ),
    Family(
        name="plaintext-port-disabled",
        summary="Where TLS is on, no plaintext port is open; elsewhere none is open beyond loopback.",
        rules=plaintext.RULES,
        files=plaintext.check,
    ),
    Family(
        name="redis-access",
        summary="Whoever Redis serves has shown a certificate or a password, over TLS that keeps what it promises.",
        rules=redis_access.RULES,
        files=redis_access.check,
        command=redis_access.check_command,
    ),
    Family(
        name="postgres-access",
        summary="PostgreSQL, Patroni and etcd speak TLS, know whom they let in, and do not fill their own disks.",
        rules=postgres.RULES,
        files=postgres.check,
    ),
    Family(
        name="certificates",
        summary="Keys are strong, certificates are for what they are for, and are renewed in time.",
        rules=certificates.RULES,
        issued=certificates.check,
        options=certificates.OPTIONS,
    ),
    Family(
        name="tunnel-hardening",
        summary="SSH tunnels authenticate both ends, carry nothing but their port, and never give up.",
        rules=tunnel_hardening.RULES,
        files=tunnel_hardening.check,
    ),
    Family(
        name="virtual-ips",
        summary="Virtual IPs move between the hosts that are named, and nobody else has a say in it.",
        rules=virtual_ips.RULES,
        files=virtual_ips.check,
    ),
    Family(
        name="kubernetes-objects",
        summary="Objects of Kubernetes show no secret, hide no authorities, and say what is read.",
        rules={**kubernetes.RULES, **spinnaker.RULES},
        files=spinnaker.check_files,
        command=spinnaker.check_command,
        thing=_each(kubernetes.check, spinnaker.check),
    ),
    Family(
        name="kubernetes-exposure",
        summary="Who may reach a pod of the data tier is said by the stack, and is nobody without TLS from outside.",
        rules=kubernetes_exposure.RULES,
        stack=kubernetes_exposure.check_stack,
    ),
    Family(
        name="host-key-pinned",
        summary="Every connection to a host knows whom it speaks to.",
        rules=host_keys.RULES,
        command=host_keys.check,
    ),
    Family(
        name="no-secret-in-the-open",
        summary="Secrets travel by secret stdin into secret files, and stand nowhere else.",
        rules=secrets.RULES,
        files=secrets.check_files,
        command=secrets.check_command,
    ),
)


def check_files(host: HostFiles) -> list[Finding]:
    """Apply all rules to files, each finding once."""
    return list(dict.fromkeys(finding for family in FAMILIES for finding in family.files(host)))


def check_command(command: Command) -> list[Finding]:
    """Apply all rules to a command, each finding once."""
    return list(dict.fromkeys(finding for family in FAMILIES for finding in family.command(command)))
