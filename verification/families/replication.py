"""Replication: a table that is made on the primary is seen on the standby, and the standby refuses to make one."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shlex
from collections.abc import Iterator
from typing import Final

from verification.connection import Session, UnreachableError
from verification.family import Family, Outcome, Survey
from verification.model import Pair

_LIMIT_S: Final = 15.0
_SEEN_WITHIN_S: Final = 5
# Whether the standby has it is looked at there: a standby that is gone must not hold this up.
_AT_ONCE: Final = "SET synchronous_commit = local"
_REFUSAL: Final = "cannot execute CREATE TABLE in a read-only transaction"


async def probe(survey: Survey) -> list[Outcome]:
    """Try every pair whose two servers can be asked."""
    found = [_try(survey, pair) for pair in survey.stack.pairs if all(each in survey.sessions for each in pair.nodes)]
    return [outcome for outcomes in await asyncio.gather(*found) for outcome in outcomes]


async def _try(survey: Survey, pair: Pair) -> list[Outcome]:
    sessions = {host: survey.sessions[host] for host in pair.nodes}
    try:
        roles = [await _sql(session, pair, "SELECT pg_is_in_recovery()") for session in sessions.values()]
    except UnreachableError as error:
        return [
            Outcome(host=host, problems=(f"not done: PostgreSQL could not be asked: {error}",)) for host in sessions
        ]
    leads = dict(zip(sessions, (role == "f" for role in roles), strict=True))
    if sorted(leads.values()) != [False, True]:
        which = "both servers take writes" if all(leads.values()) else "no server takes writes"
        return [Outcome(host=host, problems=(which,)) for host in sessions]
    primary, standby = sorted(leads, key=lambda host: not leads[host])
    table = f"sealed_data_tier_{secrets.token_hex(8)}"
    try:
        await _sql(sessions[primary], pair, f"{_AT_ONCE}; CREATE TABLE {table} (name char(10))")
        seen, refused = await _seen(sessions[standby], pair, table), await _refused(sessions[standby], pair, table)
    except UnreachableError as error:
        return [Outcome(host=primary, problems=(f"not done: {error}",))]
    finally:
        with contextlib.suppress(UnreachableError):
            await _sql(sessions[primary], pair, f"{_AT_ONCE}; DROP TABLE IF EXISTS {table}, {table}_too")
    return [
        Outcome(host=primary, summary=f"a table made here is seen on {standby}"),
        Outcome(
            host=standby,
            summary=f"shows what {primary} writes, and says: {_REFUSAL}",
            problems=tuple(judge(primary, seen=seen, refused=refused)),
        ),
    ]


def judge(primary: str, *, seen: str, refused: str) -> Iterator[str]:
    """Say what is wrong with a standby.

    Args:
        primary: Name of the other host.
        seen: The table that it found, empty if none.
        refused: What it said to whoever wanted to make one.
    """
    if not seen:
        yield f"does not show a table that {primary} made, within {_SEEN_WITHIN_S} s"
    if _REFUSAL not in refused:
        yield f"did not refuse a write: {refused or 'it was taken'}"


async def _seen(standby: Session, pair: Pair, table: str) -> str:
    for _ in range(_SEEN_WITHIN_S * 4):
        if seen := await _sql(standby, pair, f"SELECT to_regclass('{table}')"):
            return seen
        await asyncio.sleep(0.25)
    return ""


async def _refused(standby: Session, pair: Pair, table: str) -> str:
    try:
        return await _sql(standby, pair, f"CREATE TABLE {table}_too (name char(10))")
    except UnreachableError as error:
        return str(error)


async def _sql(session: Session, pair: Pair, sql: str) -> str:
    command = "runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -h /var/run/postgresql"
    script = f"cd / && {command} -p {pair.port} -d postgres -c {shlex.quote(sql)}"
    return (await session.run_as_root(script, "", _LIMIT_S)).strip()


FAMILY: Final = Family(
    name="replication",
    summary="What is written on the primary of each pair is seen on its standby, which refuses to be written to.",
    probe=probe,
)
