"""Certificates: what is served is what the stack wrote last, names whom clients dial, and is not due for renewal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Final

import asyncssh
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from verification.cluster import pod_of
from verification.connection import ClosedError
from verification.family import Family, Outcome, Survey, counted
from verification.model import Pod, ServedCertificate
from verification.tls import TlsError, ask_postgres, certificate_of

_LIMIT_S: Final = 8.0
_PARALLEL: Final = 128
_SHOWN_DIGITS: Final = 16  # of a fingerprint
_UP: Final = "run `pulumi up` (of the root's stack first, where that is another one)"


async def probe(survey: Survey) -> list[Outcome]:
    """Ask every TLS endpoint for its certificate, from its own host, and pods through the API server."""
    limit = asyncio.Semaphore(_PARALLEL)
    now = datetime.now(tz=UTC)

    async def one(served: ServedCertificate) -> Outcome:
        if served.host not in known:
            problem = f"not done: {served.endpoint} is declared on a host that the stack does not have"
            return Outcome(host=served.host, problems=(problem,))
        async with limit:
            shown = await _ask(survey, served)
        return judge(served, shown, now)

    known = {*survey.stack.hosts, *survey.stack.clusters}
    here = (each for each in survey.stack.served if survey.has(each.host) or each.host not in known)
    return [*merge(await asyncio.gather(*map(one, here))), *_untold(survey)]


def _untold(survey: Survey) -> Iterator[Outcome]:
    """Find pods of which the state does not tell what they serve, as those of earlier versions do not."""
    for name in survey.clusters:
        told = {pod_of(each.endpoint) for each in survey.stack.served if each.host == name}
        groups = survey.stack.clusters[name].groups
        pods = (Pod(group.namespace, member) for group in groups for member in group.members)
        untold = [pod for pod in pods if pod not in told]
        if untold:
            text = "not done: {}: the state does not tell what it serves: run `pulumi up`"
            yield Outcome(host=name, problems=tuple(map(text.format, untold)))


async def _ask(survey: Survey, served: ServedCertificate) -> bytes | str:
    """Return the certificate in DER, or why there is none."""
    try:
        session = survey.to(served.host)
        async with asyncio.timeout(_LIMIT_S), session.dial(served.endpoint, _LIMIT_S) as (reader, writer):
            if served.asked_first:
                await ask_postgres(reader, writer)
            return await certificate_of(reader, writer, served.endpoint.address)
    except TimeoutError:
        return f"does not answer within {_LIMIT_S:g} s"
    except (ClosedError, TlsError, asyncssh.Error, OSError) as error:
        return str(error)


def merge(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Put the endpoints of each host together."""
    by_host: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_host.setdefault(outcome.host, []).append(outcome)
    return [
        Outcome(
            host=host,
            summary=f"{counted(len(mine), 'certificate')} as written: {'; '.join(each.summary for each in mine)}",
            problems=tuple(problem for each in mine for problem in each.problems),
        )
        for host, mine in by_host.items()
    ]


def judge(served: ServedCertificate, shown: bytes | str, now: datetime) -> Outcome:
    """Look at what one endpoint serves.

    Args:
        served: What is declared.
        shown: The certificate in DER, or why there is none.
        now: The time.
    """
    if isinstance(shown, str):
        return Outcome(host=served.host, problems=(f"{served.endpoint}: {shown}",))
    try:
        certificate = x509.load_der_x509_certificate(shown)
        problems = tuple(f"{served.endpoint} {problem}" for problem in _problems(served, certificate, now))
    except ValueError as error:
        return Outcome(host=served.host, problems=(f"{served.endpoint}: its certificate cannot be read: {error}",))
    summary = f"{served.endpoint} until {certificate.not_valid_after_utc:%Y-%m-%d}"
    return Outcome(host=served.host, summary=summary, problems=problems)


def _problems(served: ServedCertificate, certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    written = _written(served)
    if written is None:
        yield "cannot be compared: the state has no certificate for it, run `pulumi up`"
    elif certificate != written:
        yield (
            f"serves certificate {_digits(certificate)}, and the stack wrote {_digits(written)}: it was not reloaded, "
            "reload the service and look why it was not"
        )
    if not _is_vouched_for(certificate, served.trusted):
        yield "serves a certificate that none of the trusted roots signed: clients refuse it, run `pulumi up`"
    for name in served.names or (served.endpoint.address,):
        if not _is_for(certificate, name):
            yield f"serves a certificate that is not for {name}: add it to the certificate's names"
    if not _serves(certificate):
        yield "serves a certificate that is not for servers: issue it with usage `server` or `both`"
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        yield f"serves a certificate that begins only on {begin:%Y-%m-%d %H:%M} UTC: compare the hosts' clocks"
    if end <= now:
        yield f"serves a certificate that ended on {end:%Y-%m-%d}: {_UP}"
    elif (due := end - timedelta(days=served.renewal_days)) <= now:
        yield f"serves a certificate that is due for renewal since {due:%Y-%m-%d} and ends on {end:%Y-%m-%d}: {_UP}"


def _written(served: ServedCertificate) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(served.certificate.encode())
    except ValueError:
        return None


def _digits(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()[:_SHOWN_DIGITS]


def _is_vouched_for(certificate: x509.Certificate, trusted: str) -> bool:
    for root in x509.load_pem_x509_certificates(trusted.encode()) if trusted.strip() else []:
        try:
            certificate.verify_directly_issued_by(root)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return True
    return False


def _is_for(certificate: x509.Certificate, name: str) -> bool:
    """Tell whether clients that dial a name take the certificate (RFC 9525, 6.3)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    try:
        return ip_address(name) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        dialled = name.lower().rstrip(".")
        wildcard = f"*.{dialled.partition('.')[2]}"
        return bool({dialled, wildcard} & {each.lower() for each in names.get_values_for_type(x509.DNSName)})


def _serves(certificate: x509.Certificate) -> bool:
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.SERVER_AUTH in uses


FAMILY: Final = Family(
    name="certificates",
    summary="Every service shows the certificate that was written last: trusted, named, not due for renewal.",
    probe=probe,
    on_clusters=True,
)
