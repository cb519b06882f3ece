"""Just enough of TLS to be shown a server's certificate over a stream that is open already, mTLS or not."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Final, Protocol

_CHUNK: Final = 65536  # bytes
_HEADER: Final = 5  # bytes before a record: kind, version, length
_HANDSHAKE: Final = 22  # RFC 5246, A.1 and A.4
_CERTIFICATE: Final = 11


# protocol.sgml, "SSLRequest": length and code; the server answers with one letter.
_SSL_REQUEST: Final = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
_AGREED: Final = b"S"


class TlsError(Exception):
    """The server does not speak TLS 1.2 or later, or hangs up before it shows a certificate."""


class Reader(Protocol):
    """The part of a stream that is read."""

    async def read(self, n: int = -1, /) -> bytes:
        """Return up to `n` bytes, or nothing at the end."""


class Writer(Protocol):
    """The part of a stream that is written."""

    def write(self, data: bytes, /) -> None:
        """Send bytes."""


async def ask_postgres(reader: Reader, writer: Writer) -> None:
    """Ask a PostgreSQL server to go on in TLS.

    Raises:
        TlsError: It does not, or is no PostgreSQL server.
    """
    writer.write(_SSL_REQUEST)
    if await reader.read(1) != _AGREED:
        raise TlsError("it does not offer TLS")


async def certificate_of(reader: Reader, writer: Writer, name: str) -> bytes:
    """Shake hands without a certificate of our own, and return the server's, in DER.

    A server that wants one refuses us only after it has shown its own: by TLS 1.3 when the handshake is over on this
    side, by TLS 1.2 in plaintext before. What it shows is judged elsewhere; here everything is taken.

    Args:
        reader: Where the server's bytes come from.
        writer: Where ours go to.
        name: Name or address that is dialled; a name is sent along (RFC 6066, 3).

    Raises:
        TlsError: When there is no certificate to be seen, with OpenSSL's word for it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(incoming, outgoing, server_hostname=name)
    seen = b""
    while True:
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            data = await reader.read(_CHUNK)
            seen += data
            if data:
                incoming.write(data)
            else:
                incoming.write_eof()
        except ssl.SSLError as error:
            shown = next(_certificates(seen), None)
            if shown is not None:
                return shown
            words = (error.reason or "it hung up").lower().replace("_", " ")
            raise TlsError(f"no certificate is shown: {words}") from None
        else:
            writer.write(outgoing.read())
            break
    shown = connection.getpeercert(binary_form=True)
    if shown is None:
        raise TlsError("no certificate is shown: the server is anonymous")
    return shown


def _certificates(stream: bytes) -> Iterator[bytes]:
    """Yield the certificates that a server of TLS 1.2 showed in plaintext, its own first."""
    messages = b"".join(_handshake_records(stream))
    while len(messages) >= 4:  # noqa: PLR2004 - kind and length
        kind, length = messages[0], int.from_bytes(messages[1:4], "big")
        body, messages = messages[4 : 4 + length], messages[4 + length :]
        if kind == _CERTIFICATE and len(body) == length:
            rest = body[3:]
            while len(rest) > 3:  # noqa: PLR2004 - the length of the next one
                size = int.from_bytes(rest[:3], "big")
                yield rest[3 : 3 + size]
                rest = rest[3 + size :]


def _handshake_records(stream: bytes) -> Iterator[bytes]:
    while len(stream) >= _HEADER and stream[0] == _HANDSHAKE:
        end = _HEADER + int.from_bytes(stream[3:_HEADER], "big")
        yield stream[_HEADER:end]
        stream = stream[end:]
