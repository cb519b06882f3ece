"""An API server on this machine: objects by their path, commands in pods, forwarded ports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import WSMsgType, web

TOKEN: Final = "the token of a kubeconfig"


@dataclass(kw_only=True)
class ApiServer:
    """What it says.

    Attributes:
        objects: Its answers by path.
        told: Of commands in pods, by pod: what they write, and the status of their end.
        ports: Of pods, by pod and port: where the connection leads.
        asked: Every path that was asked for, with the command.
    """

    objects: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    ports: Mapping[tuple[str, int], int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer whoever has the token."""
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return web.json_response({"message": "Unauthorized"}, status=401)
        self.asked.append(" ".join((request.path, *request.query.getall("command", []))))
        name, _, last = request.path.rpartition("/")
        if last in {"exec", "portforward"}:
            pod = name.rpartition("/")[2]
            return await (self._exec(request, pod) if last == "exec" else self._forward(request, pod))
        content = self.objects.get(request.path)
        return web.json_response(content or {"message": "not found"}, status=200 if content else 404)

    async def _exec(self, request: web.Request, pod: str) -> web.StreamResponse:
        if pod not in self.told:
            return web.json_response({"message": "not found"}, status=404)
        text, status = self.told[pod]
        socket = web.WebSocketResponse(protocols=["v4.channel.k8s.io"])
        await socket.prepare(request)
        for message in (b"\1", b"\1" + text.encode(), b"\2what it said last", b"\3" + json.dumps(status).encode()):
            await socket.send_bytes(message)
        await socket.close()
        return socket

    async def _forward(self, request: web.Request, pod: str) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=["v4.channel.k8s.io"])
        await socket.prepare(request)
        port = int(request.query["ports"])
        for channel in (b"\0", b"\1"):
            await socket.send_bytes(channel + port.to_bytes(2, "little"))
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[pod, port])
        except (KeyError, OSError):
            await socket.send_bytes(b"\1error forwarding port: dial tcp4 127.0.0.1: connect: connection refused")
            await socket.close()
            return socket

        async def back() -> None:
            while data := await reader.read(65536):
                await socket.send_bytes(b"\0" + data)

        pump = asyncio.create_task(back())
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                writer.write(message.data[1:])
        pump.cancel()
        writer.close()
        return socket


@asynccontextmanager
async def serving(server: ApiServer, token: str = TOKEN) -> AsyncIterator[str]:
    """Run it; yields a kubeconfig."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        yield kubeconfig(f"http://127.0.0.1:{port}", token)
    finally:
        await runner.cleanup()


def kubeconfig(server: str, token: str = TOKEN) -> str:
    """The content of a kubeconfig."""
    return json.dumps(
        {
            "clusters": [{"name": "it", "cluster": {"server": server}}],
            "users": [{"name": "it", "user": {"token": token}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "current-context": "it",
        }
    )
