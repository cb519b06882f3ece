"""Spinnaker: Redis answers whoever shows the services' certificate, and nobody who shows none."""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import Final

import asyncssh

from verification.connection import ClosedError, Session
from verification.family import Family, Outcome, Survey
from verification.model import RedisClient
from verification.redis import HungUpError, RedisError, call

_LIMIT_S: Final = 8.0


class RefusedError(Exception):
    """Redis ends the connection, or is not who it should be; the text says why."""


async def probe(survey: Survey) -> list[Outcome]:
    """Try each Spinnaker's Redis, as far as the host answers from which that is done."""
    here = [client for client in survey.stack.spinnakers if client.host in survey.sessions]
    return list(await asyncio.gather(*(_try(survey, client) for client in here)))


async def _try(survey: Survey, client: RedisClient) -> Outcome:
    told = [await _asked(survey, client, shown=shown) for shown in (True, False)]
    return judge(client, shown=told[0], hidden=told[1])


def judge(client: RedisClient, *, shown: str | RefusedError, hidden: str | RefusedError) -> Outcome:
    """Say what is wrong with a Redis.

    Args:
        client: Whose it is.
        shown: What it answered a PING of who showed the certificate.
        hidden: The same of who showed none.
    """
    problems = []
    if shown != "PONG":
        problems.append(f"{client.endpoint} does not answer {client.name} with its certificate: {shown}")
    if not isinstance(hidden, RefusedError):
        problems.append(f"{client.endpoint} answers who shows no certificate: set tls.authClients to yes")
    summary = f"{client.endpoint} says PONG to {client.name}, and to who shows no certificate: {hidden}"
    return Outcome(host=client.host, summary=summary, problems=tuple(problems))


async def _asked(survey: Survey, client: RedisClient, *, shown: bool) -> str | RefusedError:
    """Return what Redis says to a PING: an answer, or why there is none."""
    try:
        return await _ping(survey.sessions[client.host], client, _context(client, shown=shown))
    except (ClosedError, HungUpError, TimeoutError, asyncssh.Error, OSError) as error:
        return RefusedError(_words(error))
    except RedisError as error:
        return str(error)


async def _ping(session: Session, client: RedisClient, context: ssl.SSLContext) -> str:
    async with asyncio.timeout(_LIMIT_S), session.dial_as_socket(client.endpoint, _LIMIT_S) as sock:
        reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=client.endpoint.address)
        try:
            if client.password:
                await call(reader, writer, "AUTH", client.password)
            return await call(reader, writer, "PING") or ""
        finally:
            writer.transport.abort()


def _words(error: Exception) -> str:
    match error:
        case TimeoutError():
            return f"no answer within {_LIMIT_S:g} s"
        case ssl.SSLCertVerificationError():
            return str(error.verify_message)
        case ssl.SSLError():
            return (error.reason or "it hung up").lower().replace("_", " ")
        case _:
            return str(error)


def _context(client: RedisClient, *, shown: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=client.trusted)
    if shown:
        # The ssl module reads files only; this one is in memory and nowhere else.
        with os.fdopen(os.memfd_create("client"), "w") as file:
            file.write(client.key + client.certificate)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    return context


FAMILY: Final = Family(
    name="spinnaker",
    summary="Redis answers Spinnaker's services by their certificate, and nobody without one.",
    probe=probe,
)
