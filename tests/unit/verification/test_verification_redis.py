"""The part of the Redis protocol that verification speaks."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from verification.connection import Reader, Writer
from verification.redis import RedisError, call


class Wire:
    """Keeps what was written."""

    def __init__(self) -> None:
        self.sent = b""

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.sent += data


def answer(data: bytes, *words: str) -> tuple[Any, bytes]:
    """Send a command to a server that says something and hangs up."""

    async def run() -> tuple[Any, bytes]:
        reader, wire = asyncio.StreamReader(), Wire()
        reader.feed_data(data)
        reader.feed_eof()
        return await call(cast("Reader", reader), cast("Writer", wire), *words), wire.sent

    return asyncio.run(run())


def test_command_is_sent_as_an_array_of_bytes() -> None:
    assert answer(b"+OK\r\n", "SET", "k", "ü\r\n")[1] == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\n\xc3\xbc\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "value"),
    [(b"+OK\r\n", "OK"), (b":1\r\n", "1"), (b"$-1\r\n", None), (b"$0\r\n\r\n", ""), (b"$4\r\na\r\nb\r\n", "a\r\nb")],
)
def test_answers_are_read(data: bytes, value: str | None) -> None:
    assert answer(data, "X")[0] == value


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required."),
        (b"HTTP/1.1 400 Bad Request\r\n", "does not speak Redis"),
        (b"$99999999999\r\n", "does not speak Redis"),
        (b"", "closed without an answer"),
        (b"+half", "closed without an answer"),
    ],
)
def test_refusals_and_strangers_are_told(data: bytes, words: str) -> None:
    with pytest.raises(RedisError, match=words):
        answer(data, "X")


def test_answer_that_is_cut_off_is_an_error() -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        answer(b"$10\r\nabc", "X")
