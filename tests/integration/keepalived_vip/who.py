"""Says on which host it is, to everybody who connects to port 7000 of its loopback."""

import asyncio
import socket


async def _serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(f"{socket.gethostname()}\n".encode())
    await writer.drain()
    writer.close()


async def _main() -> None:
    async with await asyncio.start_server(_serve, "127.0.0.1", 7000) as server:
        await server.serve_forever()


asyncio.run(_main())
