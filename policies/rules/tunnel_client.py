"""The near end of a tunnel: ssh's options and what it knows of the far host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from policies.parsers import known_hosts, openssh
from policies.parsers.formats import Format, of_format
from policies.parsers.openssh import Option
from policies.rules.finding import Finding, HostFiles, unreadable
from policies.rules.requirements import Requirement, at_most, off, on, one_of
from policies.rules.tunnels import Client, clients

_LONGEST_SILENCE_S: Final = 60
_LONGEST_CONNECT_S: Final = 30
_DEFAULT_ALIVE_COUNT: Final = 3


def _pins(option: Option) -> bool:
    return bool(option.words) and not {word.lower() for word in option.words} & {"/dev/null", "none"}


_REQUIREMENTS: Final = (
    Requirement("StrictHostKeyChecking", on, "yes", "an unknown host key is taken"),
    Requirement("UserKnownHostsFile", _pins, "/path/of/known_hosts", "no host key is pinned"),
    Requirement("GlobalKnownHostsFile", one_of("/dev/null", "none"), "/dev/null", "the host's own list is trusted too"),
    Requirement("BatchMode", on, "yes", "ssh waits for an answer that nobody gives"),
    Requirement("PasswordAuthentication", off, "no", "a password may be asked for"),
    Requirement("IdentitiesOnly", on, "yes", "an agent's keys are offered too"),
    Requirement("ExitOnForwardFailure", on, "yes", "ssh stays up without its listener"),
    Requirement("ConnectTimeout", at_most(_LONGEST_CONNECT_S), "5", f"connecting may take over {_LONGEST_CONNECT_S} s"),
    Requirement("ServerAliveInterval", at_most(_LONGEST_SILENCE_S), "2", "a silent far side is not noticed"),
    Requirement("ControlMaster", off, "no", "other sessions may share the connection", default_is_safe=True),
    Requirement("GatewayPorts", off, "no", "listeners open on every interface", default_is_safe=True),
    Requirement("ForwardAgent", off, "no", "the far side may use the agent", default_is_safe=True),
    Requirement("ForwardX11", off, "no", "the far side may use the display", default_is_safe=True),
    Requirement("PermitLocalCommand", off, "no", "a command may run at this end", default_is_safe=True),
    Requirement("NoHostAuthenticationForLocalhost", off, "no", "loopback is not authenticated", default_is_safe=True),
)


def check(host: HostFiles) -> Iterator[Finding]:
    """Find what is soft about clients that keep tunnels."""
    for client in clients(host):
        for path, problem in client.configuration.problems:
            yield unreadable(path, problem)
        yield from _unknown_parts(client)
        for requirement in _REQUIREMENTS:
            options = client.possible(requirement.keyword)
            # What a command line leaves out is in the file that it names, and is checked there.
            given = options if client.complete else [option for option in options if option]
            yield from requirement.judge("tunnel-client", given, client.path, client.line)
        yield from _silence(client)
        yield from _local_ends(client)
        yield from _pinning_files(client, host)
    yield from _pinned_hosts(host)


def _unknown_parts(client: Client) -> Iterator[Finding]:
    parts = [(client.path, client.line, f"-F {name}") for name in client.unread]
    parts += [(include.path, include.line, str(include)) for include in client.configuration.unread]
    for path, line, value in parts:
        yield Finding(
            rule="tunnel-client",
            path=path,
            line=line,
            value=value,
            problem="this file is not written with the tunnel, and was not checked",
            fix="let the same role write it",
            note=True,
        )


def _silence(client: Client) -> Iterator[Finding]:
    """A dead far side is noticed after the interval times one more than the count."""
    for interval in client.possible("ServerAliveInterval"):
        for count in client.possible("ServerAliveCountMax"):
            decides = count or interval
            every = openssh.seconds(interval.value) if interval else None
            times = int(count.value) if count and count.value.isdigit() else _DEFAULT_ALIVE_COUNT
            silence = (every or 0) * (times + 1)
            if decides and (every or 0) <= _LONGEST_SILENCE_S < silence:
                yield Finding(
                    rule="tunnel-client",
                    path=decides.path,
                    line=decides.line,
                    value=str(decides),
                    problem=f"a silent far side is noticed after {silence} s only",
                    fix="write 'ServerAliveInterval 2' and 'ServerAliveCountMax 2'",
                )


def _local_ends(client: Client) -> Iterator[Finding]:
    for forward in client.forwards:
        if forward.bind is None:
            yield Finding(
                rule="tunnel-client",
                path=forward.path,
                line=forward.line,
                value=forward.text,
                problem="the address of the local end is left to GatewayPorts",
                fix=f"write 127.0.0.1:{forward.port} as its local end",
            )


def _pinning_files(client: Client, host: HostFiles) -> Iterator[Finding]:
    for option in client.possible("UserKnownHostsFile"):
        for path in option.words if option and _pins(option) else ():
            if host.holds(path):
                continue
            yield Finding(
                rule="tunnel-known-hosts",
                path=option.path if option else client.path,
                line=option.line if option else client.line,
                value=path,
                problem="this file is not written with the tunnel; what it pins was not checked",
                fix="let the same role write it",
                note=path.startswith("/"),  # a path that ssh completes may be anyone's file
            )


def _pinned_hosts(host: HostFiles) -> Iterator[Finding]:
    for path, text in of_format(host.texts, Format.KNOWN_HOSTS).items():
        pins, problems = known_hosts.parse(text)
        for problem in problems:
            yield unreadable(path, problem)
        for pin in pins:
            wide = [name for name in pin.hosts if set(name) & {"*", "?"} and not name.startswith("!")]
            if wide and pin.marker != "@revoked":
                yield Finding(
                    rule="tunnel-known-hosts",
                    path=path,
                    line=pin.line,
                    value=",".join(wide),
                    problem="one key stands for any number of hosts",
                    fix="name the host or its address",
                )
