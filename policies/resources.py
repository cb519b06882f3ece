"""Resources as the rules see them: plain values, and a list of those that are not known yet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from pulumi_policy.proxy import UnknownValueError

from policies.parsers import kubernetes
from policies.parsers.kubernetes import part
from policies.rules import Command, HostFiles, Issued, KubernetesObject, Stack
from policies.rules.certificates import CERTIFICATE, KEY, REQUEST, ROOT
from policies.rules.pod_configuration import started_with

_KUBERNETES: Final = "kubernetes:"
_ROLE: Final = "sealed-data-tier:host:Role"
# What stands for a secret in a state that is analysed without its passphrase.
_REDACTED: Final = "[secret]"
_CONNECTIONS: Final = (("connection",), ("connection", "proxy"))
_CREDENTIALS: Final = ("password", "privateKey", "privateKeyPassword")
_KEYS: Final = frozenset({"privateKeyPem", "caPrivateKeyPem"})
# No rule reads them.
_ANNOTATIONS: Final = re.compile(r"(^|\.)metadata\.annotations\b")


class _Unknown(Enum):
    """Stands for a value that is there but cannot be read."""

    VALUE = "unknown"


_UNKNOWN: Final = _Unknown.VALUE


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What there is to check in one resource.

    Attributes:
        files: Files that it writes.
        command: What it runs.
        issued: The key, request or certificate that it is.
        thing: The object of Kubernetes that it is.
        unknown: Properties that rules would read and cannot yet.
    """

    files: HostFiles | None = None
    command: Command | None = None
    issued: Issued | None = None
    thing: KubernetesObject | None = None
    unknown: tuple[str, ...] = ()


def subject_of(kind: str, props: Mapping[str, Any], urn: str = "") -> Subject | None:
    """Read a resource's inputs.

    Args:
        kind: Its type.
        props: Its inputs, as the policy SDK hands them out.
        urn: Its URN, which names the types of the components that hold it.

    Returns:
        What there is to check, or None for a type that no rule is about.
    """
    read = _object if kind.startswith(_KUBERNETES) else _READERS.get(kind)
    return None if read is None else read(kind, _plain(props), urn)


def stack_of(resources: Iterable[tuple[str, Mapping[str, Any], str]]) -> Stack:
    """Read a whole stack.

    Args:
        resources: Type, inputs and URN of each resource.
    """
    about = [each for each in resources if each[0] == _ROLE or each[0].startswith(_KUBERNETES)]
    if all(kind == _ROLE for kind, _, _ in about):
        return Stack(objects=())  # hosts are of interest beside objects only
    subjects = [subject for each in about if (subject := subject_of(*each)) is not None]
    return Stack(
        objects=[each.thing for each in subjects if each.thing is not None],
        hosts=[each.files for each in subjects if each.thing is None and each.files is not None],
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever an input holds
    """Copy a value; reading an unknown one raises, which would end the check of everything beside it."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_item(value, index) for index in range(len(value))]
    return _UNKNOWN if value == _REDACTED else value


def _item(container: Any, key: Any) -> Any:  # noqa: ANN401 - whatever an input holds
    try:
        return _plain(container[key])
    except UnknownValueError:
        return _UNKNOWN


class _Reader:
    """Picks values out of plain inputs and keeps a list of those that it found unknown."""

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self.inputs = inputs
        self.unknown: list[str] = []

    def value(self, *path: str, note: bool = True) -> Any:  # noqa: ANN401 - whatever an input holds
        """Return a value, None where nothing is set, or `_UNKNOWN`, which is noted."""
        here: Any = self.inputs
        for depth, step in enumerate(path, start=1):
            here = here.get(step) if isinstance(here, Mapping) else None
            if here is _UNKNOWN:
                name = ".".join(path[:depth])
                if note and name not in self.unknown:
                    self.unknown.append(name)
                return _UNKNOWN
        return here

    def text(self, *path: str, note: bool = True) -> str | None:
        """Return a text, or None where it is not set, not known or no text."""
        value = self.value(*path, note=note)
        return value if isinstance(value, str) else None

    def texts(self, *path: str) -> dict[str, str]:
        """Return the known texts of a mapping."""
        mapping = self.value(*path)
        known = {key: self.text(*path, key) for key in mapping} if isinstance(mapping, Mapping) else {}
        return {key: value for key, value in known.items() if value is not None}

    def items(self, *path: str) -> list[str]:
        """Return the known texts of a list."""
        values = self.value(*path)
        return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def _role(kind: str, inputs: Mapping[str, Any], _: str) -> Subject:
    reader = _Reader(inputs)
    texts = reader.texts("files")
    files = inputs.get("files")
    users = [user.split(" ") for user in reader.items("users")]
    commands = {
        f"{group}.{name}": text for group in ("validations", "checks") for name, text in reader.texts(group).items()
    }
    return Subject(
        files=HostFiles(
            texts=texts,
            secret=frozenset(reader.items("secretFiles")),
            unknown=frozenset(files) - frozenset(texts) if isinstance(files, Mapping) else frozenset(),
            modes={path: place.split(" ", 1)[0] for path, place in reader.texts("modes").items()},
            users={user[0]: user[-1] for user in users},
        ),
        command=Command(kind=kind, scripts=commands),
        unknown=tuple(reader.unknown),
    )


def _command(kind: str, inputs: Mapping[str, Any], _: str) -> Subject:
    reader = _Reader(inputs)
    scripts = {each: text for each in ("create", "update", "delete") if (text := reader.text(each)) is not None}
    host_keys: dict[str, str | None] = {}
    credentials: set[str] = set()
    for path in _CONNECTIONS:
        # Providers in Go hand on a secret object whose values are not known yet as if those were empty.
        if reader.value(*path, "host", note=False) == "":
            reader.unknown.append(".".join(path))
        elif isinstance(reader.value(*path), Mapping):
            key = reader.value(*path, "hostKey")
            if key is not _UNKNOWN:
                host_keys[".".join((*path, "hostKey"))] = key if isinstance(key, str) else None
            # What is known of the scripts cannot hold a value that is not known yet itself.
            credentials.update(text for each in _CREDENTIALS if (text := reader.text(*path, each, note=False)))
    logging = reader.value("logging")
    previous = reader.value("addPreviousOutputInEnv")
    return Subject(
        command=Command(
            kind=kind,
            scripts=scripts,
            environment=reader.texts("environment"),
            host_keys=host_keys,
            logging=None if logging is _UNKNOWN else str(logging or "stdoutAndStderr"),
            previous_output=None if previous is _UNKNOWN else previous is not False,
            credentials=frozenset(credentials),
            stdin=reader.text("stdin", note=False) or "",
        ),
        unknown=tuple(reader.unknown),
    )


def _copy(kind: str, _: Mapping[str, Any], __: str) -> Subject:
    return Subject(command=Command(kind=kind))


def _issued(kind: str, inputs: Mapping[str, Any], urn: str) -> Subject:
    reader = _Reader(inputs)
    # A key that is not known yet is a resource of its own, and checked there.
    known = {name: reader.value(name, note=name not in _KEYS) for name in inputs}
    unknown = frozenset(name for name, value in known.items() if value is _UNKNOWN)
    types = urn.split("::")[2] if urn.count("::") > 2 else ""  # noqa: PLR2004 - stack, project, types, name
    return Subject(
        issued=Issued(
            kind=kind,
            inputs={name: value for name, value in known.items() if name not in unknown},
            unknown=unknown,
            above=tuple(types.split("$")[:-1]),
        ),
        unknown=tuple(reader.unknown),
    )


def _object(kind: str, inputs: Mapping[str, Any], urn: str) -> Subject:
    # pulumi-kubernetes: `kubernetes:apps/v1:StatefulSet`, and `…Patch` for parts of an object that others own.
    name = kind.rpartition(":")[2].removesuffix("Patch")
    known, unknown = _known(inputs), tuple(_unknown(inputs))
    metadata = part(known, "metadata")
    thing = KubernetesObject(
        kind=name,
        namespace=str(metadata.get("namespace") or "default"),
        inputs=known,
        name=str(metadata.get("name", "")),
        unknown=unknown,
        urn=urn,
    )
    files = HostFiles(texts={}, secret=_keys(inputs)) if name == "Secret" else _configuration(thing)
    told = () if name == "Secret" else tuple(each for each in unknown if not _ANNOTATIONS.search(each))
    return Subject(files=files, thing=thing, unknown=told)


def _keys(secret: Mapping[str, Any]) -> frozenset[str]:
    return frozenset((*part(secret, "data"), *part(secret, "stringData")))


def _known(value: Any) -> Any:  # noqa: ANN401 - whatever an input holds
    """Leave out what is not known."""
    if isinstance(value, Mapping):
        return {key: _known(each) for key, each in value.items() if each is not _UNKNOWN}
    if isinstance(value, list):
        return [_known(each) for each in value if each is not _UNKNOWN]
    return value


def _unknown(value: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - whatever an input holds
    """Yield the paths of what is not known."""
    if value is _UNKNOWN:
        yield path
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _unknown(each, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _unknown(each, f"{path}[{at}]")


def _configuration(thing: KubernetesObject) -> HostFiles | None:
    """Return what an object holds of configuration that daemons read, files and arguments."""
    if thing.kind == "ConfigMap":
        return HostFiles(texts=kubernetes.kept(thing.kind, thing.inputs))
    pods = kubernetes.pods(thing.kind, thing.inputs)
    return started_with(pods.containers) if pods else None


_READERS: Final[Mapping[str, Callable[[str, Mapping[str, Any], str], Subject]]] = {
    _ROLE: _role,
    "command:remote:Command": _command,
    "command:local:Command": _command,
    "command:remote:CopyToRemote": _copy,
    "command:remote:CopyFile": _copy,
    **dict.fromkeys((KEY, REQUEST, ROOT, CERTIFICATE), _issued),
}
