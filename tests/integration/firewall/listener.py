"""Answers on every port that it is told: greets over TCP, sends back over UDP; IPv4 and IPv6."""

from __future__ import annotations

import asyncio
import socket
import sys


class _Echo(asyncio.DatagramProtocol):
    transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data, addr)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello\n")
    while line := await reader.readline():
        writer.write(line)
    writer.close()


async def _main(ports: list[int]) -> None:
    loop = asyncio.get_running_loop()
    for port in ports:
        await asyncio.start_server(_serve, ["0.0.0.0", "::"], port)
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            datagrams = socket.socket(family, socket.SOCK_DGRAM)
            if family == socket.AF_INET6:
                datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            datagrams.bind((address, port))
            await loop.create_datagram_endpoint(_Echo, sock=datagrams)
    await asyncio.Event().wait()


asyncio.run(_main([int(port) for port in sys.argv[1:]]))
