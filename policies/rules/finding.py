"""What rules say, and what they look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from policies.parsers.source import Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is wrong, or that could not be checked.

    Attributes:
        rule: Identifier of the rule, for example `haproxy-bind`.
        path: File on the host, or the property of a command.
        line: Line number, from 1; None where nothing is written, or where lines mean nothing.
        value: What stands there. Never a secret.
        problem: Why that is wrong.
        fix: What to write instead, as an instruction.
        note: Whether it only tells that something was not checked.
        until: Last day of an exception that the file itself declares, as written there.
        because: The reason of that exception.
    """

    rule: str
    path: str
    line: int | None = None
    value: str
    problem: str
    fix: str
    note: bool = False
    until: str = ""
    because: str = ""

    @property
    def place(self) -> str:
        """Write `file:line`."""
        return self.path if self.line is None else f"{self.path}:{self.line}"

    def __str__(self) -> str:
        """Write the finding as one line."""
        shown = f"`{self.value}`" if self.value else "not set"
        return f"{self.place}: {shown}: {self.problem}. Fix: {self.fix}. [{self.rule}]"


@dataclass(frozen=True, kw_only=True)
class HostFiles:
    """Files of one host, or the part of them that one role writes.

    Attributes:
        texts: Text by absolute path.
        secret: Paths of secret files, whose text is not shown.
        unknown: Paths of files that are there, but whose text is not known yet.
        hidden: Text of secret files as far as it is known; rules may read it, and never show it.
        modes: Permission bits by path, for example `0640`.
        users: Login shell by user, of the users that come with the files.
    """

    texts: Mapping[str, str]
    secret: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    hidden: Mapping[str, str] = field(default_factory=dict, repr=False)
    modes: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)

    def holds(self, path: str) -> bool:
        """Tell whether a file is among them, readable or not."""
        return path in self.texts or path in self.secret or path in self.unknown


@dataclass(frozen=True, kw_only=True)
class Command:
    """A resource of pulumi-command, or the commands of a role; values that are not known yet are left out.

    Attributes:
        kind: Type of the resource, for example `command:remote:Command`.
        scripts: Commands by property: create, update, delete, and a role's validations and checks.
        environment: Variables by name.
        host_keys: Pinned host key of each connection by property; None where none is pinned.
        logging: What of its output is logged; None where it is not known.
        previous_output: Whether earlier output is put into the environment; None where it is not known.
        credentials: The connection's passwords and keys.
        stdin: Standard input.
    """

    kind: str
    scripts: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    host_keys: Mapping[str, str | None] = field(default_factory=dict)
    logging: str | None = None
    previous_output: bool | None = None
    credentials: frozenset[str] = frozenset()
    stdin: str = ""


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A resource of pulumi-tls: a key, a request or a certificate; values that are not known yet are left out.

    Attributes:
        kind: Type of the resource, for example `tls:index/privateKey:PrivateKey`.
        inputs: What is known of its inputs, keys in PEM included: never to be shown.
        unknown: Names of inputs that are not known yet.
        above: Types of the components that hold it, the outermost first.
    """

    kind: str
    inputs: Mapping[str, Any] = field(repr=False)
    unknown: frozenset[str] = frozenset()
    above: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class KubernetesObject:
    """An object of Kubernetes; values that are not known yet are left out.

    Attributes:
        kind: Its kind, for example `Service`.
        namespace: Its namespace, `default` where none is given.
        inputs: Its content, secrets included: never to be shown.
        name: Its name, or an empty text where that is not known yet.
        unknown: Paths of what is not known yet, for example `spec.ingress[0].from`.
        urn: The resource that it is.
    """

    kind: str
    namespace: str
    inputs: Mapping[str, Any] = field(repr=False, hash=False)
    name: str = ""
    unknown: tuple[str, ...] = ()
    urn: str = ""

    def lacks(self, *paths: str) -> bool:
        """Tell whether something at or below a path, or what holds it, is not known yet."""
        return any(
            each.startswith(path) or path.startswith((f"{each}.", f"{each}["))
            for each in self.unknown
            for path in paths
        )


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What rules about a whole stack look at.

    Attributes:
        objects: Its objects of Kubernetes.
        hosts: Files of its hosts, by role.
    """

    objects: Sequence[KubernetesObject]
    hosts: Sequence[HostFiles] = ()


def unreadable(path: str, problem: Problem) -> Finding:
    """Tell of a line that the daemon would refuse; its text stays out, for it may be anything."""
    return Finding(
        rule="unreadable",
        path=path,
        line=problem.line,
        value="this line",
        problem=f"it cannot be read: {problem.reason}",
        fix="write it as the daemon's manual says",
    )
