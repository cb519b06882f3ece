"""Traffic: what one application host writes is read on another, and the cache sees no client but by its workers."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

import asyncssh

from policies.parsers.addresses import is_loopback, split_port
from verification.connection import ClosedError
from verification.family import Family, Outcome, Survey, counted
from verification.model import Cache, Network
from verification.redis import HungUpError, RedisError, call

_LIMIT_S: Final = 8.0  # for what one host asks the cache
# After a change HAProxy may still take every worker for down, and hangs up: two checks 5 s apart bring one back.
_SETTLE_S: Final = 15.0
_PAUSE_S: Final = 0.5
_EXPIRE_S: Final = "60"  # so that even a verification that was killed leaves nothing behind
_CLIENT: Final = re.compile(r"\baddr=(\S+)")


@dataclass(frozen=True)
class NotPassed:
    """Why a value did not pass. Not raised: the other hosts go on."""

    reason: str


async def probe(survey: Survey) -> list[Outcome]:
    """Pass a value through every cache service."""
    return [outcome for cache in survey.stack.caches for outcome in await _through(survey, cache)]


async def _through(survey: Survey, cache: Cache) -> list[Outcome]:
    """Every host writes a value of its own, then reads another one's: all at the same time, whatever fails."""
    hosts = [host for host in sorted(cache.applications) if host in survey.sessions]
    if cache.password is None:
        return [Outcome(host=host, problems=("not done: the state has no password of the cache",)) for host in hosts]
    tokens = {host: secrets.token_hex(16) for host in hosts}
    networks = (*survey.stack.client_networks, *_own(survey, cache))
    give_up = time.monotonic() + _SETTLE_S

    async def write(host: str) -> list[str | None] | NotPassed:
        return await _ask(survey, cache, host, give_up, ("SET", _key(tokens[host]), tokens[host], "EX", _EXPIRE_S))

    async def read(host: str, source: str) -> Outcome:
        answers = await _ask(survey, cache, host, give_up, ("GET", _key(tokens[source])), ("CLIENT", "LIST"))
        return judge(networks, host, source, tokens[source], answers)

    written = dict(zip(hosts, await asyncio.gather(*map(write, hosts)), strict=True))
    writers = [host for host, answer in written.items() if not isinstance(answer, NotPassed)]
    sources = {host: next((other for other in writers if other != host), host) for host in writers}
    outcomes = await asyncio.gather(*(read(host, source) for host, source in sources.items()))
    await asyncio.gather(*(_ask(survey, cache, host, give_up, ("DEL", _key(tokens[host]))) for host in writers))
    failed = (
        Outcome(host=host, problems=(f"nothing can be written: {answer.reason}",))
        for host, answer in written.items()
        if isinstance(answer, NotPassed)
    )
    return [*outcomes, *failed]


def _own(survey: Survey, cache: Cache) -> Iterator[Network]:
    """The addresses of its workers: as one of them kube-proxy presents whoever comes by the NodePort."""
    for worker in cache.workers & set(survey.facts):
        yield from map(ip_network, survey.facts[worker].addresses)


def _key(token: str) -> str:
    return f"sealed-data-tier:verification:{token}"


async def _ask(
    survey: Survey, cache: Cache, host: str, give_up: float, *commands: tuple[str, ...]
) -> list[str | None] | NotPassed:
    """Speak to the cache as the application does, on its host's loopback, and return its answers.

    Until `give_up`, on the clock of `time.monotonic`, being hung up on is no reason to despair.
    """
    endpoint = cache.applications[host]
    while True:
        try:
            async with asyncio.timeout(_LIMIT_S), survey.sessions[host].dial(endpoint, _LIMIT_S) as streams:
                await call(*streams, "AUTH", cache.password or "")
                return [await call(*streams, *command) for command in commands]
        except TimeoutError:
            return NotPassed(f"{endpoint} did not answer within {_LIMIT_S:g} s")
        except HungUpError as error:
            if time.monotonic() > give_up:
                return NotPassed(f"{endpoint}: {error}, again and again")
        except (ClosedError, RedisError, asyncssh.Error, OSError, EOFError) as error:
            return NotPassed(f"{endpoint}: {error}")
        await asyncio.sleep(_PAUSE_S)


def judge(
    networks: Sequence[Network], host: str, writer: str, token: str, found: list[str | None] | NotPassed
) -> Outcome:
    """Compare what was read with what was written, and look at who else is connected.

    Args:
        networks: Where clients may be, beside this host.
        host: Host that read.
        writer: Host that wrote.
        token: What it wrote.
        found: The value that was read, and the cache's list of clients.
    """
    if isinstance(found, NotPassed):
        return Outcome(host=host, problems=(f"what {writer} wrote cannot be read: {found.reason}",))
    value, listing = found
    clients = _CLIENT.findall(listing or "")
    problems = [f"the cache has a client at {client}" for client in strangers(clients, networks)]
    if value != token:
        problems.insert(0, f"what {writer} wrote is not what is read here: it is another cache, or it forgets")
    if not clients:
        problems.append("not done: the cache does not tell who its clients are")
    summary = (
        f"wrote a value and read that of {writer}; {counted(len(clients), 'client')} of the cache, all by its workers"
    )
    return Outcome(host=host, summary=summary, problems=tuple(problems))


def strangers(clients: Iterable[str], networks: Sequence[Network]) -> list[str]:
    """Return the addresses of clients that came neither by loopback nor by a socket nor from one of the networks."""
    found = []
    for address in dict.fromkeys(split_port(client)[0] for client in clients):
        local = address.startswith("/") or is_loopback(address)
        if not local and not _is_in(address, networks):
            found.append(address)
    return found


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


FAMILY: Final = Family(
    name="traffic",
    summary="Every application host writes to the cache and reads what another one wrote; clients come by its workers.",
    probe=probe,
)
