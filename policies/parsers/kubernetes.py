"""Objects of Kubernetes: pods wherever a template of them stands, their containers and volumes, and who is selected."""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policies.parsers import shell

# Where the specification of pods is, by kind.
_POD_SPECS: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": ("spec",),
    **dict.fromkeys(
        ("DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"),
        ("spec", "template", "spec"),
    ),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
_BLANK_AFTER_OPTION: Final = re.compile(r"(--?[A-Za-z][\w-]*)\s+(.*)", re.DOTALL)
#: Label by which the pods of a StatefulSet are told apart.
POD_NAME: Final = "statefulset.kubernetes.io/pod-name"


@dataclass(frozen=True, slots=True)
class Mount:
    """A place in a container where a volume is.

    Attributes:
        volume: Name of the volume.
        path: The place.
        below: Path in the volume that stands there, empty for all of it; None where a variable decides.
    """

    volume: str
    path: str
    below: str | None


@dataclass(frozen=True, slots=True)
class Source:
    """What a volume, or a part of one, holds.

    Attributes:
        kind: `configMap`, `secret`, or something else.
        name: Name of that object; empty where it is not known yet.
        keys: Its key by path in the volume; None where all keys are there under their own names.
    """

    kind: str
    name: str
    keys: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a container declares.

    Attributes:
        number: Where it listens in the pod; None where that is not known.
        name: Its name, or an empty text.
        on_host: Where the node listens for it; None where it does not.
        address: The node's address on which it listens; empty for all.
    """

    number: int | None
    name: str
    on_host: int | None
    address: str


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod; what is not known yet is left out.

    Attributes:
        name: Its name.
        image: Its image.
        commands: What it is started with: one command, or those of the script that a shell is given.
        directory: Its working directory, or an empty text.
        environment: Its variables, as far as their values stand in the object.
        mounts: Its mounts.
        ports: The ports that it declares.
    """

    name: str
    image: str
    commands: tuple[tuple[str, ...], ...]
    directory: str
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    ports: tuple[Port, ...]

    def mount_of(self, path: str) -> Mount | None:
        """Return the mount below which a path is: of several the innermost."""
        above = (each for each in self.mounts if f"{path}/".startswith(f"{each.path.rstrip('/')}/"))
        return max(above, key=lambda mount: len(mount.path), default=None)


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods that an object makes.

    Attributes:
        labels: Their labels.
        containers: Their containers, those that come first included.
        volumes: What each volume holds, by its name.
        on_host: Whether they are in the network of their nodes.
        stateful: Name of the StatefulSet that makes them, or an empty text.
    """

    labels: Mapping[str, str]
    containers: tuple[Container, ...]
    volumes: Mapping[str, tuple[Source, ...]]
    on_host: bool
    stateful: str

    def selected(self, selector: Mapping[str, str]) -> bool:
        """Tell whether a Service with this selector leads to one of them."""
        wanted = dict(selector)
        pod = wanted.pop(POD_NAME, None) if self.stateful else None
        named = pod is None or re.fullmatch(rf"{re.escape(self.stateful)}-\d+", pod) is not None
        return bool(selector) and named and wanted.items() <= self.labels.items()


def pods(kind: str, inputs: Mapping[str, Any]) -> Pods | None:
    """Read the pods that an object makes.

    Args:
        kind: Its kind, for example `StatefulSet`.
        inputs: Its content as far as it is known.

    Returns:
        The pods, or None where it makes none.
    """
    steps = _POD_SPECS.get(kind)
    if steps is None:
        return None
    spec, above = part(inputs, *steps), part(inputs, *steps[:-1])
    return Pods(
        labels=texts(part(above, "metadata", "labels")),
        containers=tuple(_container(each) for key in ("initContainers", "containers") for each in items(spec, key)),
        volumes={str(each.get("name")): tuple(_sources(each)) for each in items(spec, "volumes")},
        on_host=spec.get("hostNetwork") is True,
        stateful=str(part(inputs, "metadata").get("name", "")) if kind == "StatefulSet" else "",
    )


def label_selector(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Tell whether a label selector takes in some labels; an empty one takes in all."""
    wanted = texts(part(selector, "matchLabels"))
    expressions = items(selector, "matchExpressions")
    return wanted.items() <= labels.items() and all(_holds(each, labels) for each in expressions)


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(str(expression.get("key"))), listed(expression.get("values"))
    match expression.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False


def kept(kind: str, inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts that a ConfigMap or a Secret holds, by key; what is no text is left out."""
    plain, encoded = ("stringData", "data") if kind == "Secret" else ("data", "binaryData")
    decoded = {key: _decoded(text) for key, text in texts(part(inputs, encoded)).items()}
    return texts({**decoded, **part(inputs, plain)})


def mounted(container: Container, pods: Pods, maps: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[str, str]]:
    """Return the files that ConfigMaps put into a container: the ConfigMap's name and the key, by path.

    Args:
        container: The container.
        pods: The pods that it is one of.
        maps: Texts by key, of ConfigMaps by name.
    """
    files: dict[str, tuple[str, str]] = {}
    for mount in container.mounts:
        for source in pods.volumes.get(mount.volume, ()):
            held = maps.get(source.name, {}) if source.kind == "configMap" else {}
            for within, key in (source.keys or {key: key for key in held}).items():
                path = _place(mount, within)
                # A mount that is further in hides what is below it.
                if key in held and path is not None and container.mount_of(path) is mount:
                    files[path] = source.name, key
    return files


def _place(mount: Mount, within: str) -> str | None:
    """Return where a file of a volume is in a container; None where it is not."""
    if mount.below is None or not f"{within}/".startswith(f"{mount.below}/".lstrip("/")):
        return None
    return posixpath.normpath(f"{mount.path}/{within[len(mount.below) :]}")


def _sources(volume: Mapping[str, Any]) -> Iterator[Source]:
    for each in (volume, *items(part(volume, "projected"), "sources")):
        for kind, naming in (("configMap", "name"), ("secret", "secretName")):
            given = each.get(kind)
            if not isinstance(given, Mapping):
                continue
            named = [(str(item.get("path")), str(item.get("key"))) for item in items(given, "items")]
            name = given.get(naming) or given.get("name") or ""
            yield Source(kind, str(name), dict(named) if named else None)


def _container(inputs: Mapping[str, Any]) -> Container:
    given = [str(each) for key in ("command", "args") for each in listed(inputs.get(key))]
    return Container(
        name=str(inputs.get("name", "")),
        image=str(inputs.get("image", "")),
        commands=tuple(tuple(_apart(command)) for command in shell.started(given) if command),
        directory=str(inputs.get("workingDir", "")),
        environment=texts({str(each.get("name")): each.get("value") for each in items(inputs, "env")}),
        mounts=tuple(_mount(each) for each in items(inputs, "volumeMounts")),
        ports=tuple(_port(each) for each in items(inputs, "ports")),
    )


def _mount(inputs: Mapping[str, Any]) -> Mount:
    below = None if "subPathExpr" in inputs else str(inputs.get("subPath") or "").strip("/")
    return Mount(str(inputs.get("name")), posixpath.normpath(str(inputs.get("mountPath"))), below)


def _port(inputs: Mapping[str, Any]) -> Port:
    number, on_host = number_of(inputs.get("containerPort")), number_of(inputs.get("hostPort"))
    return Port(number, str(inputs.get("name", "")), on_host or None, str(inputs.get("hostIP", "")))


def _apart(words: Sequence[str]) -> Iterator[str]:
    """Take apart options that were written with their values in one argument."""
    for word in words:
        found = _BLANK_AFTER_OPTION.fullmatch(word)
        yield from (found[1], *found[2].split()) if found else (word,)


def _decoded(text: str) -> str | None:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def part(inputs: Any, *path: str) -> Mapping[str, Any]:  # noqa: ANN401 - whatever an object holds
    """Return a nested mapping; an empty one where there is none."""
    for step in path:
        inputs = inputs.get(step) if isinstance(inputs, Mapping) else None
    return inputs if isinstance(inputs, Mapping) else {}


def items(inputs: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the mappings of a list; none where there is none."""
    return [each for each in listed(inputs.get(key)) if isinstance(each, Mapping)]


def texts(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of a mapping."""
    return {key: value for key, value in inputs.items() if isinstance(value, str)}


def all_texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - whatever an object holds
    """Yield every text at any depth, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from all_texts(each, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from all_texts(each, f"{path}[{at}]")


def listed(value: Any) -> list[Any]:  # noqa: ANN401 - whatever an object holds
    """Return a list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def number_of(value: Any) -> int | None:  # noqa: ANN401 - whatever an object holds
    """Return a number, which comes as a float from the engine; None for anything else."""
    return int(value) if isinstance(value, int | float) else None
