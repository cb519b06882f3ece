"""Just enough of the Redis protocol (RESP2) to pass a value through a stream that is open already."""

from __future__ import annotations

import asyncio
from typing import Final

from verification import connection

_LONGEST: Final = 16 * 1024 * 1024  # bytes of one answer; a list of clients is far below


Reader = connection.Reader | asyncio.StreamReader
Writer = connection.Writer | asyncio.StreamWriter


class RedisError(Exception):
    """The server refused a command, or does not speak the protocol."""


class HungUpError(RedisError):
    """The connection was closed without an answer."""


async def call(reader: Reader, writer: Writer, *words: str) -> str | None:
    """Send one command and return its answer; None for a null.

    Raises:
        RedisError: When the server refuses it, with the server's words, or hangs up.
    """
    encoded = [word.encode() for word in words]
    writer.write(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded))
    line = (await reader.readline()).decode(errors="replace")
    if not line.endswith("\r\n"):
        raise HungUpError("the connection was closed without an answer")
    kind, value = line[0], line[1:-2]
    if kind == "-":
        raise RedisError(value)
    if kind in "+:":
        return value
    if kind != "$" or not value.lstrip("-").isdigit() or int(value) > _LONGEST:
        raise RedisError("what answers does not speak Redis")
    if int(value) < 0:
        return None
    return (await reader.readexactly(int(value) + len("\r\n")))[:-2].decode(errors="replace")
