"""Confinement: the account in which tunnels end can reach its declared targets and do nothing else."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import replace
from typing import Final

import asyncssh

from policies.parsers import openssh
from policies.parsers.formats import Format, of_format
from verification.connection import ClosedError, UnreachableError
from verification.facts import Facts, Question
from verification.family import Family, Outcome, Survey
from verification.model import Admission, Endpoint, Host, Login, Stack

_STRANGER: Final = "192.0.2.1"  # TEST-NET-1: rules for single addresses must not open anything to the others
_LIMIT_S: Final = 8.0
_SOCKET: Final = "/run/systemd/journal/stdout"  # there and open to every account wherever systemd is
_NO_SHELLS: Final = frozenset({"/usr/sbin/nologin", "/sbin/nologin", "/usr/bin/false", "/bin/false"})


def questions(host: Host) -> Iterable[Question]:
    """Ask what sshd would apply to each account, and how it is kept."""
    for admission in host.admissions:
        yield Question("account", admission.user)
        yield Question("sshd", admission.user, _STRANGER)


def judge(_: Stack, host: Host, facts: Facts) -> Outcome | None:
    """Compare what sshd would apply with what was written: of two rules sshd takes the first, whoever wrote it."""
    if not host.admissions:
        return None
    problems = [problem for admission in host.admissions for problem in _judge(admission, host, facts)]
    users = ", ".join(admission.user for admission in host.admissions)
    return Outcome(host=host.name, summary=f"sshd confines {users}", problems=tuple(problems))


def _judge(admission: Admission, host: Host, facts: Facts) -> Iterator[str]:
    user = admission.user
    account = facts.accounts.get(user)
    if account is None or not account.shell:
        yield f"there is no account {user}"
    else:
        if account.shell not in _NO_SHELLS:
            yield f"{user} has the shell {account.shell}"
        if not account.locked:
            yield f"{user} has a password"
    effective = facts.sshd.get((user, _STRANGER))
    if effective is None:
        reason = facts.failures.get(("sshd", user, _STRANGER), "no answer")
        yield f"not done: sshd does not tell what applies to {user}: {reason}"
        return
    for option in _declared(host, user):
        real = effective.get(option.keyword.lower(), "")
        if real.lower().split() != [word.lower() for word in option.raw.split()]:
            yield f"sshd applies {option.keyword} {real or '(nothing)'} to {user}, not {option.raw}"


def _declared(host: Host, user: str) -> Iterator[openssh.Option]:
    texts = {path: file.text or "" for path, file in host.files.items() if not file.secret}
    server = openssh.parse_server(of_format(texts, Format.SSHD), texts)
    for block in server.blocks:
        if user in block.patterns("user"):
            yield from block.options


def _targets(host: Host, user: str) -> Iterator[Endpoint]:
    for option in _declared(host, user):
        if option.keyword.lower() == "permitopen":
            yield from filter(None, map(Endpoint.of, option.words))


async def probe(survey: Survey) -> list[Outcome]:
    """Log in to each account as a declared client does, with its key, and try what must not work."""
    found = await asyncio.gather(
        *(
            _try(survey, host, admission)
            for host in survey.stack.hosts.values()
            if host.name in survey.sessions
            for admission in host.admissions
        )
    )
    return list(found)


async def _try(survey: Survey, host: Host, admission: Admission) -> Outcome:
    clients = [name for name in admission.clients if name in survey.sessions and _key(survey, name, admission.user)]
    targets = list(_targets(host, admission.user))
    if not clients or host.login is None:
        return Outcome(host=host.name, problems=(f"not done: no client of {admission.user} could be used",))
    # One of them will do: what the others may do differs by their line in the file of keys, which was compared.
    client = clients[0]
    login = replace(
        host.login, address=host.address, user=admission.user, private_key=_key(survey, client, admission.user)
    )
    session, sshd = survey.sessions[client], Endpoint(login.address, login.port)
    try:
        async with asyncio.timeout(_LIMIT_S), session.dial_as_socket(sshd, _LIMIT_S) as sock:
            connection = await survey.connections.log_in(login, sock=sock)
            problems = await _escapes(connection, login, targets)
            connection.close()
    except (UnreachableError, ClosedError) as error:
        return Outcome(host=host.name, problems=(f"not done: logging in from {client}: {error}",))
    except TimeoutError:
        return Outcome(host=host.name, problems=(f"not done: trying from {client} took longer than {_LIMIT_S:g} s",))
    return Outcome(
        host=host.name,
        summary=f"from {client} its key opened no command, shell, terminal, other port or listener",
        problems=tuple(f"{admission.user}, coming from {client}, {problem}" for problem in problems),
    )


def _key(survey: Survey, client: str, user: str) -> str | None:
    keys = (each.key for each in survey.stack.hosts[client].tunnels if each.user == user)
    return next((key for key in keys if key), None)


async def _escapes(connection: asyncssh.SSHClientConnection, login: Login, targets: list[Endpoint]) -> list[str]:
    """Try everything that must not work, and at the end what must: else all of it failed for another reason."""
    mark = secrets.token_hex(8)
    tries = {
        "runs commands": _prints(mark, connection.run(f"echo {mark}")),
        "has a shell": _prints(mark, connection.run(input=f"echo {mark}\nexit\n")),
        "has a terminal": _succeeds(connection.run("true", term_type="dumb", input="")),
        "has files": _succeeds(connection.start_sftp_client()),
        f"reaches 127.0.0.1:{login.port}": _forwards(connection.open_connection("127.0.0.1", login.port)),
        "reaches sockets": _succeeds(connection.open_unix_connection(_SOCKET)),
        "opens listeners": _succeeds(connection.forward_remote_port("", 0, "127.0.0.1", login.port)),
    }
    escaped = await asyncio.gather(*tries.values())
    problems = [what for what, succeeded in zip(tries, escaped, strict=True) if succeeded]
    reached = [await _forwards(connection.open_connection(target.address, target.port)) for target in targets]
    if not any(reached):
        problems.append(
            f"reaches none of {', '.join(map(str, targets)) or 'no target'}, which it may: nothing is proved"
        )
    return problems


async def _prints(mark: str, run: Awaitable[asyncssh.SSHCompletedProcess]) -> bool:
    try:
        return mark in str((await run).stdout)
    except (asyncssh.Error, OSError):
        return False


async def _succeeds(attempt: Awaitable[object]) -> bool:
    try:
        await attempt
    except (asyncssh.Error, asyncssh.ChannelListenError, OSError):
        return False
    return True


async def _forwards(attempt: Awaitable[object]) -> bool:
    """Tell whether sshd was willing, even if nothing was there to connect to."""
    try:
        await attempt
    except asyncssh.ChannelOpenError as error:
        return error.code == asyncssh.OPEN_CONNECT_FAILED
    except (asyncssh.Error, OSError):
        return False
    return True


FAMILY: Final = Family(
    name="confinement",
    summary="The tunnels' account reaches its declared targets, and cannot do anything else.",
    questions=questions,
    judge=judge,
    probe=probe,
)
