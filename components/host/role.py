"""What one role puts on one host: plain data that the bundle, the policies and the reviewer all read.

A role says what should be there. How it gets there, safely, is the runtime's business (`runtime.sh`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import pulumi

from components.errors import ConfigurationError

# Field separators of the manifest that the runtime reads; no value may hold them.
_SEPARATORS: Final = re.compile(r"[\t\n\r\0]")
_ROLE_NAME: Final = re.compile(r"^[a-z0-9][a-z0-9-]{0,62}$")
_MODE_LIMIT: Final = 0o7777


def _refuse_separators(where: str, *values: str) -> None:
    for value in values:
        if _SEPARATORS.search(value):
            raise ConfigurationError(where, value, "remove the tab, line break or NUL character")


def _refuse_path(where: str, path: str) -> None:
    _refuse_separators(where, path)
    if not path.startswith("/") or path.endswith("/") or "//" in path or "/../" in f"{path}/":
        raise ConfigurationError(where, path, "give an absolute path without '..', '//' or a '/' at the end")


@dataclass(frozen=True, kw_only=True)
class User:
    """A system user of a service, without a password and, by default, without a shell.

    Attributes:
        name: Login name.
        home: Home directory; it is not created (list a `Directory` when files live there).
        shell: Login shell. Default `/usr/sbin/nologin`.
    """

    name: str
    home: str = "/nonexistent"
    shell: str = "/usr/sbin/nologin"


@dataclass(frozen=True, kw_only=True)
class Directory:
    """A directory that the role needs. Created when absent; owner and mode are set only then.

    Attributes:
        path: Absolute path. Parents are not created: list them too.
        mode: Permission bits, default `0o755`.
        owner: Owning user, default `root`.
        group: Owning group, default `root`.
        discard: Whether it goes with all that is in it when the role is deleted, whoever made it; default: only if the
            role made it and it is empty.
    """

    path: str
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"
    discard: bool = False


# Every host has them.
_EVERYWHERE: Final = frozenset(("/etc", "/opt", "/srv", "/usr", "/usr/local", "/usr/local/lib", "/var", "/var/lib"))


def with_parents(path: str, *there: str) -> list[Directory]:
    """Return a directory, last, and those above it but for what every host has.

    Args:
        path: Absolute path.
        there: Directories that come with a package.
    """
    steps = path.split("/")[1:]
    paths = ("/" + "/".join(steps[:depth]) for depth in range(1, len(steps) + 1))
    return [Directory(path=each) for each in paths if each not in _EVERYWHERE and each not in there]


@dataclass(frozen=True, kw_only=True)
class File:
    """A file that the role owns, whole. Two roles never own the same path.

    Attributes:
        path: Absolute path on the host.
        content: Text. A secret's whole file is secret: never put one into a file that reviewers read.
        mode: Permission bits, default `0o644`; a secret file must not be wider than its owner and group.
        owner: Owning user, default `root`.
        group: Owning group, default `root`.
        secret: Whether the content is kept out of the role's reviewed inputs.
    """

    path: str
    content: pulumi.Input[str]
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    secret: bool = False


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A systemd unit that the role keeps enabled and running.

    Attributes:
        name: Unit name with its suffix, for example `haproxy.service`.
        reload_on: Paths whose change makes the running unit reload.
        restart_on: Paths whose change makes it restart; wins over `reload_on`.
    """

    name: str
    reload_on: tuple[str, ...] = ()
    restart_on: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Validation:
    """A check of the staged files by the daemon's own checker, before anything is swapped.

    Attributes:
        name: Short name for the report, for example `haproxy -c`.
        command: POSIX sh. `@{/etc/haproxy/haproxy.cfg}` stands for that file's staged copy.
        timeout: Seconds, default 30.
    """

    name: str
    command: str
    timeout: int = 30


@dataclass(frozen=True, kw_only=True)
class Check:
    """A health check after the swap, repeated until it holds or its time is over.

    Attributes:
        name: Short name for the report, for example `listens on 127.0.0.1:30379`.
        command: POSIX sh; exit code 0 means healthy. Runs as root.
        timeout: Seconds that it may take to become healthy, default 20.
    """

    name: str
    command: str
    timeout: int = 20


@dataclass(frozen=True, kw_only=True)
class RoleSpec:
    """One role on one host, complete.

    Attributes:
        name: Role name, unique on the host: lower-case letters, digits and hyphens.
        packages: Distribution packages (names of the host's family).
        users: System users.
        directories: Directories, parents first.
        files: Files, secret ones included.
        units: Units in the order in which they are started.
        validations: Checks of the staged files.
        checks: Health checks after the swap.
        selinux_booleans: Booleans to switch on where SELinux is enabled.

    Raises:
        ConfigurationError: On a value that the host could not take, by its property path.
    """

    name: str
    packages: tuple[str, ...] = ()
    users: tuple[User, ...] = ()
    directories: tuple[Directory, ...] = ()
    files: tuple[File, ...] = ()
    units: tuple[Unit, ...] = ()
    validations: tuple[Validation, ...] = ()
    checks: tuple[Check, ...] = ()
    selinux_booleans: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what the host could not take."""
        if not _ROLE_NAME.match(self.name):
            raise ConfigurationError("role.name", self.name, "use lower-case letters, digits and hyphens")
        here = f"role[{self.name}]"
        for kind in ("packages", "selinux_booleans"):
            _refuse_separators(f"{here}.{kind}", *getattr(self, kind))
        for user in self.users:
            _refuse_separators(f"{here}.users", user.name, user.home, user.shell)
        places: tuple[Directory | File, ...] = (*self.directories, *self.files)
        for place in places:
            where = f"{here}.{type(place).__name__.lower()}[{place.path}]"
            _refuse_path(where, place.path)
            _refuse_separators(where, place.owner, place.group)
            if not 0 <= place.mode <= _MODE_LIMIT:
                raise ConfigurationError(where, oct(place.mode), "give permission bits, for example 0o640")
            if isinstance(place, File) and place.secret and place.mode & 0o007:
                raise ConfigurationError(where, oct(place.mode), "a secret file is for its owner: use 0o600 or 0o640")
        paths = [file.path for file in self.files]
        for path in paths:
            if paths.count(path) > 1:
                raise ConfigurationError(f"{here}.files", path, "list each path once")
        for unit in self.units:
            _refuse_separators(f"{here}.units", unit.name)
            for path in (*unit.reload_on, *unit.restart_on):
                if path not in paths:
                    raise ConfigurationError(f"{here}.units[{unit.name}]", path, "name a file of this role")
        steps: tuple[Validation | Check, ...] = (*self.validations, *self.checks)
        for step in steps:
            _refuse_separators(f"{here}.{type(step).__name__.lower()}", step.name)
