"""A client that sends PING through a port 20 times a second and takes any answer.

    python3 pinger.py ADDRESS PORT anew|lasting

It connects anew for each, or keeps one connection for as long as that lasts. Every attempt is a line of JSON on
standard output: when it began and ended, by the kernel's monotonic clock, which the machine's hosts share, and whether
it was answered. It ends when standard input does. Standard library only: it runs on the hosts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Awaitable, Callable

INTERVAL_S = 0.05
PATIENCE_S = 1.0


Ask = Callable[[], Awaitable[bool]]


async def attempt(ask: Ask) -> None:
    """Ask, and tell how it went."""
    began, answered = time.monotonic(), False
    with contextlib.suppress(OSError, TimeoutError, asyncio.TimeoutError):
        answered = await asyncio.wait_for(ask(), PATIENCE_S)
    print(json.dumps([began, time.monotonic(), answered]), flush=True)


async def anew(ask: Ask, ended: asyncio.Future[str]) -> None:
    """Ask whether or not the answers to former questions have come."""
    attempts: set[asyncio.Task[None]] = set()
    while not ended.done():
        task = asyncio.create_task(attempt(ask))
        attempts.add(task)
        task.add_done_callback(attempts.discard)
        await asyncio.sleep(INTERVAL_S)


async def lasting(ask: Ask, ended: asyncio.Future[str]) -> None:
    """Ask when the answer to the former question has come."""
    while not ended.done():
        await attempt(ask)
        await asyncio.sleep(INTERVAL_S)


async def main(address: str, port: str, how: str) -> None:
    """Ping until standard input ends."""
    kept: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask() -> bool:
        reader, writer = kept.pop() if kept else await asyncio.open_connection(address, int(port))
        writer.write(b"PING\r\n")
        answered = bool(await reader.readline())
        if answered and how == "lasting":
            kept.append((reader, writer))
        else:
            writer.close()
        return answered

    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await (lasting if how == "lasting" else anew)(ask, ended)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
