"""Objects of Kubernetes: pods wherever a template of them stands, and what their containers are started with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

# Where the specification of pods is, by kind.
_POD_SPECS: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": ("spec",),
    **dict.fromkeys(
        ("DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"),
        ("spec", "template", "spec"),
    ),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
# What a program, or the image of a container without a command, is a server of.
_SERVERS: Final[Mapping[str, str]] = {
    "redis-server": "redis",
    "redis": "redis",
    "valkey-server": "valkey",
    "valkey": "valkey",
    "postgres": "postgres",
    "postgresql": "postgres",
}
_SHELLS: Final = frozenset({"sh", "bash", "ash", "dash"})
_BLANK_AFTER_OPTION: Final = re.compile(r"(--?[A-Za-z][\w-]*)\s+(.*)", re.DOTALL)
# What a configuration file says is judged where it is written. Here it is taken to be sealed, and what the arguments
# say comes after it (redis.io, "Passing arguments using the command line").
_FILE_SAYS: Final = ("port 0", "tls-port 6379", "tls-cluster yes", "tls-replication yes")


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod; what is not known yet is left out.

    Attributes:
        name: Its name.
        image: Its image.
        words: Command and arguments as the program sees them: what a shell is given is taken apart.
        environment: Its variables, as far as their values stand in the object.
        mounts: Volume and path of each mount.
    """

    name: str
    image: str
    words: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: tuple[tuple[str, str], ...]

    @property
    def service(self) -> str | None:
        """`redis`, `valkey` or `postgres`, where it is a server of that."""
        return next((_SERVERS[each] for each in (*self._programs, self._from_image) if each in _SERVERS), None)

    @property
    def options(self) -> tuple[str, ...]:
        """What its server is started with."""
        start = next((at for at, each in enumerate(self._programs) if each in _SERVERS), -1)
        return self.words[start + 1 :]

    @property
    def _programs(self) -> list[str]:
        return [PurePosixPath(word).name for word in self.words]

    @property
    def _from_image(self) -> str:
        """What the image starts by itself, where no program is named."""
        named = bool(self.words) and not self.words[0].startswith("-") and not self.words[0].endswith(".conf")
        return "" if named else re.split("[:@]", self.image.rpartition("/")[2])[0]


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods that an object makes.

    Attributes:
        labels: Their labels.
        containers: Their containers, those that come first included.
        secrets: Names of volumes that hold a Secret.
    """

    labels: Mapping[str, str]
    containers: tuple[Container, ...]
    secrets: frozenset[str]


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
        secrets=frozenset(str(each.get("name")) for each in items(spec, "volumes") if _holds_secret(each)),
    )


def redis_configuration(container: Container) -> str:
    """Write what a server of Redis or Valkey is started with as its configuration file would hold it."""
    options = container.options
    from_file = bool(options) and not options[0].startswith("-")
    lines = list(_FILE_SAYS) if from_file else []
    for word in options[1:] if from_file else options:
        if word.startswith("--"):
            lines.append(word.removeprefix("--"))
        elif lines:
            lines[-1] += f' "{word}"' if re.search(r"\s", word) or not word else f" {word}"
    return "".join(f"{line}\n" for line in lines)


def speaks_only_tls(container: Container) -> bool:
    """Tell whether a server of Redis or Valkey is started with a TLS port and without a plaintext one."""
    if container.service not in ("redis", "valkey"):
        return False
    words = (line.lower().split() for line in redis_configuration(container).splitlines())
    said = {line[0]: line[1] for line in words if len(line) > 1}
    return said.get("port") == "0" and said.get("tls-port", "0") != "0"


def _holds_secret(volume: Mapping[str, Any]) -> bool:
    sources = items(part(volume, "projected"), "sources")
    return any(isinstance(each.get("secret"), Mapping) for each in (volume, *sources))


def _container(inputs: Mapping[str, Any]) -> Container:
    given = [str(each) for key in ("command", "args") for each in _list(inputs.get(key))]
    mounts = [(str(each.get("name")), str(each.get("mountPath"))) for each in items(inputs, "volumeMounts")]
    return Container(
        name=str(inputs.get("name", "")),
        image=str(inputs.get("image", "")),
        words=tuple(_words(given)),
        environment=texts({str(each.get("name")): each.get("value") for each in items(inputs, "env")}),
        mounts=tuple(mounts),
    )


def _words(given: list[str]) -> Iterator[str]:
    """Take apart what a shell is given, and options that were written with their values in one argument."""
    if given and PurePosixPath(given[0]).name in _SHELLS and "-c" in given:
        script = given[given.index("-c") + 1 :][:1]
        try:
            yield from (word for each in script for word in shlex.split(each, comments=True))
        except ValueError:
            return
        return
    for word in given:
        found = _BLANK_AFTER_OPTION.fullmatch(word)
        yield from (found[1], *found[2].split()) if found else (word,)


def part(inputs: Any, *path: str) -> Mapping[str, Any]:  # noqa: ANN401 - whatever an object holds
    """Return a nested mapping; an empty one where there is none."""
    for step in path:
        inputs = inputs.get(step) if isinstance(inputs, Mapping) else None
    return inputs if isinstance(inputs, Mapping) else {}


def items(inputs: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the mappings of a list; none where there is none."""
    return [each for each in _list(inputs.get(key)) if isinstance(each, Mapping)]


def texts(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of a mapping."""
    return {key: value for key, value in inputs.items() if isinstance(value, str)}


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - whatever an object holds
    return value if isinstance(value, list) else []
