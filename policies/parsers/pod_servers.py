"""Servers of Redis, Valkey and PostgreSQL among the containers of pods, and what they are started with."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from policies.parsers.kubernetes import Container

_PROGRAMS: Final[Mapping[str, str]] = {
    "redis-sentinel": "redis",
    "redis-server": "redis",
    "redis-stack-server": "redis",
    "valkey-sentinel": "valkey",
    "valkey-server": "valkey",
    "patroni": "postgres",
    "postgres": "postgres",
    "postmaster": "postgres",
}
_SENTINELS: Final = frozenset({"redis-sentinel", "valkey-sentinel"})
# What an image is a server of, by its name without registry, folder and tag.
_IMAGES: Final = tuple(
    (re.compile(pattern), service)
    for pattern, service in (
        (r"redis(-(alpine|cluster|ha|sentinel|server|stack|stack-server))?", "redis"),
        (r"valkey(-(bundle|cluster|extensions|sentinel|server))?", "valkey"),
        (r"postgres(ql)?(-(ha|repmgr|server|\d.*))?|crunchy-postgres.*", "postgres"),
        (r"patroni|postgis|spilo(-\d+)?|timescaledb(-ha)?", "postgres"),
    )
)
# Scripts by which images start what they are for; Bitnami's name it in their path.
_ENTRY_POINT: Final = re.compile(r"(/|/usr/local/bin/)?((docker-)?entrypoint|launch)\.sh")
_OF_BITNAMI: Final = re.compile(r"/opt/bitnami/scripts/([\w-]+)/(entrypoint|run|start[\w-]*)\.sh")
# Their arguments may be called like a server, and start none.
_OTHERS: Final = frozenset(
    {"[", "apk", "apt", "apt-get", "cat", "cd", "chmod", "chown", "command", "cp", "curl", "dig", "dnf", "echo",
     "exit", "export", "getent", "grep", "host", "kill", "killall", "ls", "microdnf", "mkdir", "mv", "nc",
     "nslookup", "pg_basebackup", "pg_dump", "pg_dumpall", "pg_isready", "pg_restore", "pgrep", "ping", "pkill",
     "printf", "psql", "redis-cli", "rm", "set", "sleep", "tail", "test", "trap", "true", "valkey-cli", "wait",
     "wget", "which", "yum"}
)  # fmt: skip
_KEYWORDS: Final = frozenset(
    {"!", "{", "}", "do", "done", "elif", "else", "exec", "fi", "if", "then", "until", "while"}
)
_ASSIGNMENT: Final = re.compile(r"\w+=.*", re.DOTALL)
# What stands behind an option of these may be what they start; behind one of others it is its value.
_WRAPPERS: Final = frozenset(
    {"catatonit", "chroot", "chrt", "dumb-init", "env", "gosu", "ionice", "nice", "nohup", "numactl", "setpriv",
     "setsid", "stdbuf", "su-exec", "sudo", "taskset", "timeout", "tini"}
)  # fmt: skip
_YES: Final = frozenset({"1", "true", "yes"})


@dataclass(frozen=True, slots=True)
class Server:
    """A server that a container starts.

    Attributes:
        service: `redis`, `valkey` or `postgres`.
        sentinel: Whether it is a Sentinel.
        file: The configuration file that it is given, `-` for its standard input, or an empty text.
        options: What its configuration would hold of the rest, as lines.
    """

    service: str
    sentinel: bool
    file: str
    options: tuple[str, ...]

    def configuration(self, *before: str) -> str:
        """Write what it is started with as its configuration file would hold it: options come after the file.

        Args:
            before: Lines to take for what an image or a file says.
        """
        # redis.io, "Passing arguments using the command line".
        lines = [f'include "{self.file}"'] if self.file else []
        return "".join(f"{line}\n" for line in (*lines, *before, *self.options))


def servers_of(container: Container) -> dict[str, Server]:
    """Return the servers that a container is seen to start, by the path under which messages show what they are told.

    What a script of the container's own starts is not seen.
    """
    image = _of_image(container.image)
    seen = [
        _server(container, service, command[at], command[at + 1 :])
        for command in container.commands
        if (start := _start(command, image))
        for at, service in (start,)
    ]
    options = container.commands[0] if container.commands else ()
    if not seen and image and (not options or options[0].startswith("-") or options[0].endswith(".conf")):
        seen = [_server(container, image, image_name(container.image), options)]
    return {
        f"containers/{container.name}/{'sentinel' if each.sentinel else each.service}{number or ''}.conf": each
        for number, each in enumerate(seen)
    }


def serves(container: Container) -> str | None:
    """Return what a container serves, or may serve since its image does and its command says nothing else."""
    says_something_else = bool(container.commands) and all(map(_is_other, container.commands))
    image = None if says_something_else else _of_image(container.image)
    return next((each.service for each in servers_of(container).values()), image)


def image_name(image: str) -> str:
    """Return an image's name without registry, folder, tag and digest."""
    return re.split("[:@]", image.rpartition("/")[2])[0]


def _of_image(image: str) -> str | None:
    name = image_name(image)
    return next((service for pattern, service in _IMAGES if pattern.fullmatch(name)), None)


def _start(command: Sequence[str], image: str | None) -> tuple[int, str] | None:
    """Return where a command names the server that it starts, and what that serves."""
    names = [PurePosixPath(word).name for word in command]
    has_values = _program(command) not in _WRAPPERS
    for at, (name, before) in enumerate(zip(names, ("", *command), strict=False)):
        if name in _OTHERS:
            return None
        is_value = has_values and before.startswith("-") and before != "--" and "=" not in before
        if name in _PROGRAMS and not command[at].startswith("-") and not is_value:
            return at, _PROGRAMS[name]
    # An entry point hands over to a script behind it.
    for at, word in reversed(list(enumerate(command))):
        service = _of_image(_called(word)) or image
        if service and (_ENTRY_POINT.fullmatch(word) or _OF_BITNAMI.fullmatch(word)):
            return at, service
    return None


def _called(program: str) -> str:
    """Return what a program is called; a script of Bitnami's as what it starts."""
    found = _OF_BITNAMI.fullmatch(program)
    return found[1] if found else PurePosixPath(program).name


def _program(command: Sequence[str]) -> str | None:
    """Return the name of what a command starts first; None where it is keywords and assignments alone."""
    words = (word for word in command if word not in _KEYWORDS and not _ASSIGNMENT.fullmatch(word))
    return next((PurePosixPath(word).name for word in words), None)


def _is_other(command: Sequence[str]) -> bool:
    program = _program(command)
    return program is None or program in _OTHERS


def _server(container: Container, service: str, program: str, given: Sequence[str]) -> Server:
    words = [*given]
    file = ""
    if words and (words[0] == "-" or not words[0].startswith("-")):
        word = words.pop(0)
        file = word if word == "-" else posixpath.normpath(posixpath.join("/", container.directory, word))
    lines = [] if file else list(_of_variables(container, service))
    for word in words:
        if word.startswith("--"):
            lines.append(word.removeprefix("--"))
        elif lines:
            lines[-1] += f' "{word}"' if re.search(r"\s", word) or not word else f" {word}"
    says_so = any(line.split(" ")[0].lower() == "sentinel" for line in lines)
    return Server(
        service=service,
        sentinel=says_so or _called(program) in _SENTINELS,
        file=file,
        options=tuple(line for line in lines if line != "sentinel"),
    )


def _of_variables(container: Container, service: str) -> Iterator[str]:
    """What Bitnami's images write into the configuration (libredis.sh, redis_default_config)."""
    prefix, given = service.upper(), container.environment
    words = (word for command in container.commands for word in command)
    is_theirs = "bitnami" in container.image or any(map(_OF_BITNAMI.fullmatch, words))
    if not is_theirs or given.get(f"{prefix}_TLS_ENABLED", "no").lower() not in _YES:
        return
    port = given.get(f"{prefix}_PORT_NUMBER", "6379")
    tls_port = given.get(f"{prefix}_TLS_PORT_NUMBER", given.get(f"{prefix}_TLS_PORT", "6379"))
    yield f"port {'0' if port == tls_port else port}"
    yield f"tls-port {tls_port}"
    yield f"tls-auth-clients {given.get(f'{prefix}_TLS_AUTH_CLIENTS', 'yes')}"
    yield "tls-replication yes"
