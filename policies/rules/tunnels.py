"""SSH clients among a host's files: in ssh_config files, and on command lines of units and scripts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final

from policies.parsers import authorized_keys, openssh, systemd
from policies.parsers.addresses import split_port
from policies.parsers.formats import Format, of_format
from policies.parsers.openssh import Block, Configuration, Option
from policies.parsers.source import like, numbered
from policies.rules.finding import HostFiles

_FORWARDS: Final = ("localforward", "dynamicforward", "remoteforward")
# ssh(1): options with an argument, and what the others mean as configuration.
_WITH_ARGUMENT: Final = "BbcDEeFIiJLlmOopPQRSWw"
_AS_OPTION: Final = {"L": "LocalForward", "D": "DynamicForward", "R": "RemoteForward"}
_AS_FLAG: Final = {"g": "GatewayPorts", "A": "ForwardAgent", "X": "ForwardX11", "Y": "ForwardX11", "M": "ControlMaster"}
_SSH: Final = re.compile(r"(?:^|[/(`;&|])ssh$")
_ENDS_COMMAND: Final = frozenset({"|", "||", "&", "&&", ";"})
_OUTER_COLON: Final = re.compile(r":(?![^\[]*\])")  # not those of an IPv6 address in brackets
_SPECIFIER: Final = re.compile(r"%[a-zA-Z]|\$\{?\w+\}?")


@dataclass(frozen=True, slots=True)
class Forward:
    """A port that ssh opens, at the near or (RemoteForward) the far end.

    Attributes:
        bind: Address that it listens on; None when none is written.
        port: Port or, of a variable, its name.
        text: As written.
        path: The file that holds it.
        line: Line number.
    """

    bind: str | None
    port: str
    text: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Client:
    """An ssh client that keeps a tunnel, with every option that may count.

    Attributes:
        name: Alias in its configuration, or `ssh` for a command line.
        path: The file that counts for messages about what is not set.
        line: Line number there.
        configuration: Its options.
        subjects: What the configuration's blocks are asked about.
        complete: Whether what is not set here is set nowhere.
        unread: Configuration files (`-F`) that are not known.
    """

    name: str
    path: str
    line: int
    configuration: Configuration
    subjects: dict[str, str]
    complete: bool = True
    unread: tuple[str, ...] = ()

    def possible(self, keyword: str) -> list[Option | None]:
        """Return every line that may decide for a keyword; None where the default may hold."""
        return self.configuration.possible(keyword, self.subjects)

    @property
    def forwards(self) -> list[Forward]:
        """All forwards, in order."""
        options = [option for keyword in _FORWARDS for option in self.configuration.every(keyword, self.subjects)]
        return [_forward(option) for option in options if option.words]


def clients(host: HostFiles) -> list[Client]:
    """Return the clients that keep tunnels."""
    return [*_configured(host), *_commanded(host)]


def targets(host: HostFiles) -> dict[int, str]:
    """Return the ports that tunnels lead to, each with a line that says so: of clients, of sshd or of its keys."""
    served = openssh.parse_server(of_format(host.texts, Format.SSHD), host.texts)
    allowed = [option for block in served.blocks for option in block.options if option.keyword.lower() == "permitopen"]
    ends = [(word, option.path, option.line) for option in allowed for word in option.words]
    for client in clients(host):
        forwards = client.configuration.every("LocalForward", client.subjects)
        ends += [(word, option.path, option.line) for option in forwards for word in option.words[1:]]
    for path, text in of_format(host.texts, Format.AUTHORIZED_KEYS).items():
        ends += [(word, path, key.line) for key in authorized_keys.parse(text)[0] for word in key.values("permitopen")]
    ports = ((split_port(word)[1], f"{path}:{line}") for word, path, line in ends)
    return {int(port): place for port, place in ports if port.isdigit()}


def sample(pattern: str) -> str:
    """Make up a name that a pattern matches."""
    return pattern.replace("*", "any").replace("?", "a")


def _configured(host: HostFiles) -> Iterator[Client]:
    for path in of_format(host.texts, Format.SSH):
        configuration = openssh.parse_client(path, host.texts)
        aliases: dict[str, Block] = {}
        for block in configuration.blocks:
            names = [sample(each) for each in block.patterns("originalhost") if not each.startswith("!")]
            for name in names or ["any"]:
                aliases.setdefault(name, block)
        for alias, block in aliases.items():
            client = Client(alias, block.path, block.line, configuration, {"originalhost": alias})
            if client.forwards:
                yield client


def _commanded(host: HostFiles) -> Iterator[Client]:
    for unit in systemd.units(of_format(host.texts, Format.UNIT)):
        for assignment, words in unit.commands():
            if _SSH.search(words[0]):
                yield from _from_command(words[1:], assignment.path, assignment.line, host)
    for path in sorted(host.texts):
        for line, arguments in script_commands(host.texts[path]):
            yield from _from_command(arguments, path, line, host)


@lru_cache(maxsize=512)
def script_commands(text: str) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Return line and arguments of every ssh in a shell script, as far as a look without running it goes."""
    return tuple(_script_commands(text)) if text.startswith("#!") and "ssh" in text else ()


def _script_commands(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    start, pending = 0, ""
    for number, line in numbered(text):
        start = start if pending else number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        whole, pending = pending + line, ""
        if "ssh" not in whole:
            continue
        try:
            words = shlex.split(whole, comments=True)
        except ValueError:
            continue  # a quoted text over several lines
        for at, word in enumerate(words):
            if _SSH.search(word):
                rest = words[at + 1 :]
                end = next((index for index, each in enumerate(rest) if each in _ENDS_COMMAND), len(rest))
                yield start, tuple(rest[:end])


def _from_command(arguments: Sequence[str], path: str, line: int, host: HostFiles) -> Iterator[Client]:
    options, named = _options(arguments, path, line)
    own = Block((), tuple(options), path, line, "")
    forwards = any(option.keyword.lower() in _FORWARDS for option in options)
    if not forwards and not named:
        return
    patterns = [_SPECIFIER.sub("*", name.replace("%%", "%")) for name in named]
    known = [each for each in sorted(host.texts) if any(like(each, pattern) for pattern in patterns)]
    unread = tuple(name for name in named if not known and not name.startswith("$"))
    # What the file says is checked where it stands; here only what the command line adds to it.
    yield Client("ssh", path, line, Configuration((own,), (), ()), {}, complete=not named, unread=unread)


def _options(arguments: Sequence[str], path: str, line: int) -> tuple[list[Option], list[str]]:
    """Read ssh's command line as configuration; the second value is what `-F` names."""
    options: list[Option] = []
    files: list[str] = []

    def add(keyword: str, value: str, *words: str) -> None:
        options.append(Option(keyword, words or (value,), value, path, line))

    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            continue  # the destination; what follows may still be options
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _AS_FLAG:
                add(_AS_FLAG[letter], "yes")
            if letter not in _WITH_ARGUMENT:
                continue
            value, letters = letters or (rest.pop(0) if rest else ""), ""
            if letter == "F" and value not in {"none", "/dev/null"}:
                files.append(value)
            elif letter == "o":
                keyword, _, setting = value.replace("=", " ", 1).strip().partition(" ")
                add(keyword, setting.strip(), *setting.split())
            elif letter in _AS_OPTION:
                add(_AS_OPTION[letter], value, *_ends(value))
    return options, files


def _ends(value: str) -> tuple[str, ...]:
    """Split `[bind:]port:host:hostport` and its relatives into the near end and the far one, as files have them."""
    fields = _OUTER_COLON.split(value)
    far = 1 if fields[-1].startswith("/") else 2  # a socket, or host and port
    near = max(len(fields) - far, 0) or len(fields)  # "bind:port" alone is a dynamic forward
    return tuple(filter(None, (":".join(fields[:near]), ":".join(fields[near:]))))


def _forward(option: Option) -> Forward:
    near = option.words[0]
    if near.startswith("/"):
        bind, port = "localhost", near  # a socket in the file system
    elif "/" in near:
        bind, _, port = near.partition("/")
    elif ":" in near:
        bind, port = split_port(near)
    else:
        return Forward(None, near, str(option), option.path, option.line)
    return Forward(bind, port, str(option), option.path, option.line)


def runs_ssh(words: Sequence[str], host: HostFiles) -> bool:
    """Tell whether a command keeps an SSH tunnel: it is ssh, names ssh's files, or is a script that calls ssh."""
    if PurePosixPath(words[0]).name == "sshd":
        return False
    text = host.texts.get(words[0], "")
    return any(re.search(r"(^|/)ssh(/|$)", word) for word in words) or bool(script_commands(text))
