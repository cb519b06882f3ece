"""Spinnaker: Redis answers whoever shows the services' certificate and knows its root, and nobody else."""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncssh
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from verification.cluster import ClusterSession
from verification.connection import ClosedError, Session
from verification.family import Family, Outcome, Survey
from verification.model import RedisClient
from verification.redis import HungUpError, RedisError, call

_LIMIT_S: Final = 8.0


class RefusedError(Exception):
    """Redis ends the connection, or is not who it should be; the text says why."""


class UnverifiedError(RefusedError):
    """Redis' certificate is none of a root that is trusted."""


async def probe(survey: Survey) -> list[Outcome]:
    """Try each Spinnaker's Redis, as far as the host answers from which that is done."""
    clients = survey.stack.spinnakers
    here = [client for client in clients if survey.has(client.host)]
    away = {client.host for client in clients if client.host in survey.stack.clusters} - set(survey.clusters)
    tried = await asyncio.gather(*(_try(survey, client) for client in here))
    return [*tried, *(Outcome(host=host, problems=("not done: it could not be asked",)) for host in sorted(away))]


async def _try(survey: Survey, client: RedisClient) -> Outcome:
    if client.host in survey.clusters and client.pod is None:
        problem = f"not done: {client.endpoint} is none of this stack's, which has no host from which to try it"
        return Outcome(host=client.host, problems=(problem,))
    trusting = replace(client, trusted=_foreign_root())
    shown = await _asked(survey, client, shown=True)
    hidden = await _asked(survey, client, shown=False)
    return judge(client, shown=shown, hidden=hidden, foreign=await _asked(survey, trusting, shown=True))


def judge(
    client: RedisClient, *, shown: str | RefusedError, hidden: str | RefusedError, foreign: str | RefusedError
) -> Outcome:
    """Say what is wrong with a Redis.

    Args:
        client: Whose it is.
        shown: What it answered a PING of who showed the certificate.
        hidden: The same of who showed none.
        foreign: The same of who showed the certificate and trusts another root.
    """
    problems = []
    if shown != "PONG":
        problems.append(f"{client.endpoint} does not answer {client.name} with its certificate: {shown}")
    if not isinstance(hidden, RefusedError):
        problems.append(f"{client.endpoint} answers who shows no certificate: set tls.authClients to yes")
    if shown == "PONG" and not isinstance(foreign, UnverifiedError):
        problems.append(f"{client.endpoint} is not refused by who trusts another root: {foreign}")
    summary = (
        f"{client.endpoint} says PONG to {client.name}, and to who shows no certificate: {hidden}; "
        f"who trusts another root: {foreign}"
    )
    return Outcome(host=client.host, summary=summary, problems=tuple(problems))


async def _asked(survey: Survey, client: RedisClient, *, shown: bool) -> str | RefusedError:
    """Return what Redis says to a PING: an answer, or why there is none."""
    try:
        return await _ping(survey.to(client.host), client, _context(client, shown=shown))
    except ssl.SSLCertVerificationError as error:
        return UnverifiedError(f"certificate verify failed: {error.verify_message}")
    except (ClosedError, HungUpError, TimeoutError, asyncssh.Error, OSError) as error:
        return RefusedError(_words(error))
    except RedisError as error:
        return str(error)


async def _ping(session: Session | ClusterSession, client: RedisClient, context: ssl.SSLContext) -> str:
    dialled = client.pod or client.endpoint
    async with asyncio.timeout(_LIMIT_S), session.dial_as_socket(dialled, _LIMIT_S) as sock:
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


def _foreign_root() -> str:
    """Make the certificate of an authority that has signed nothing, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "another root")])
    now = datetime.now(tz=UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


FAMILY: Final = Family(
    name="spinnaker",
    summary="Redis answers Spinnaker's services by their certificate, and nobody without one.",
    probe=probe,
)
