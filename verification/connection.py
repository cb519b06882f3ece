"""Connections to hosts: pinned keys, one bastion, sudo. Keys and passwords stay in memory and pipes."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import asyncssh

from verification.model import Endpoint, Host, Login

CONNECT_LIMIT_S: Final = 12
_KEEPALIVE_S: Final = 5
_RELAYS: Final = 4  # sshd's MaxSessions is 10
_RELAY_ENDS_S: Final = 2.0

# Address, port, seconds. Says an empty line once connected, and ends with its input, whatever the far side does.
# A connection that nobody answers is given up: it would keep one of the few sessions that sshd allows.
_RELAY: Final = """\
{ sleep "$2"; kill $$; } </dev/null >/dev/null 2>&1 &
trap "kill $! 2>/dev/null" EXIT
exec 3<>"/dev/tcp/$0/$1" && kill $! && echo && { cat <&3 & cat >&3; kill $!; }
"""
_ASK_ON_STDIN: Final = "-S -p ''"
_SUDO_REFUSES: Final = 1
_CHUNK: Final = 65536  # bytes

Reader = asyncssh.SSHReader[bytes]
Writer = asyncssh.SSHWriter[bytes]


class UnreachableError(Exception):
    """A host or an account on it cannot be used; the text says why."""


class ClosedError(Exception):
    """Nothing took a connection; the text is the host's own word for it."""


@dataclass(frozen=True)
class Session:
    """An open connection to a host.

    Attributes:
        host: The host.
        connection: The connection.
    """

    host: Host
    connection: asyncssh.SSHClientConnection
    _relays: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_RELAYS))

    async def run_as_root(self, script: str, given: str, limit_s: float) -> str:
        """Run a script and return what it wrote.

        Args:
            script: POSIX sh. Without secrets: it becomes an argument.
            given: Its standard input. A password that sudo did not want may stand in a line before.
            limit_s: Seconds that it may take.

        Raises:
            UnreachableError: When it could not be run to its end.
        """
        user, password = self.connection.get_extra_info("username"), self.host.sudo_password
        command = f"sh -c {shlex.quote(script)}"
        if user != "root":
            command = f"sudo {'-n' if password is None else _ASK_ON_STDIN} -- {command}"
        given = given if password is None else f"{password}\n{given}"
        try:
            async with asyncio.timeout(limit_s):
                process = await self.connection.create_process(command, encoding="utf-8", errors="replace")
                # What refuses at once does not read its input, and says why.
                with contextlib.suppress(OSError):
                    process.stdin.write(given)
                    process.stdin.write_eof()
                run = await process.wait()
        except TimeoutError:
            raise UnreachableError(f"did not answer within {limit_s:g} s") from None
        except (asyncssh.Error, OSError) as error:
            raise UnreachableError(f"the connection broke: {error}") from None
        if run.exit_status == 0:
            return str(run.stdout)
        if run.exit_status is None:
            raise UnreachableError("the connection broke")
        words = str(run.stderr).strip().splitlines()[-1:] or [f"the exit code was {run.exit_status}"]
        refused = user != "root" and run.exit_status == _SUDO_REFUSES
        raise UnreachableError(f"{f'sudo did not let {user} in' if refused else 'a script failed'}: {words[0]}")

    @asynccontextmanager
    async def dial(self, endpoint: Endpoint, within_s: float) -> AsyncIterator[tuple[Reader, Writer]]:
        """Connect from the host to an address, through its sshd or, where that does not forward, through bash.

        Args:
            endpoint: Where to.
            within_s: Seconds until the connection has to stand; waiting for other connections does not count.

        Raises:
            ClosedError: When the connection is refused.
            TimeoutError: When it is not answered.
        """
        try:
            async with asyncio.timeout(within_s):
                reader, writer = await self.connection.open_connection(endpoint.address, endpoint.port, encoding=None)
        except asyncssh.ChannelOpenError as error:
            if error.code != asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
                raise ClosedError(error.reason) from None
            async with self._relays, self._relay(endpoint, within_s) as streams:
                yield streams
            return
        try:
            yield reader, writer
        finally:
            writer.channel.abort()

    @asynccontextmanager
    async def _relay(self, endpoint: Endpoint, within_s: float) -> AsyncIterator[tuple[Reader, Writer]]:
        arguments = (endpoint.address, str(endpoint.port), f"{within_s:g}")
        command = f"exec bash -c {shlex.quote(_RELAY)} {shlex.join(arguments)}"
        async with self.connection.create_process(command, encoding=None) as process:
            try:
                async with asyncio.timeout(within_s):
                    if not await process.stdout.read(1):
                        words = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
                        raise ClosedError(words[-1].rpartition(": ")[2] if words else "closed")
                yield process.stdout, process.stdin
            finally:
                # Only when the process has ended does sshd count its session no more.
                with contextlib.suppress(OSError, TimeoutError):
                    process.stdin.write_eof()
                    async with asyncio.timeout(_RELAY_ENDS_S):
                        await process.wait_closed()
                process.close()

    @asynccontextmanager
    async def dial_as_socket(self, endpoint: Endpoint, within_s: float) -> AsyncIterator[socket.socket]:
        """Do the same as `dial`, for those who need a socket."""
        async with self.dial(endpoint, within_s) as (far_reader, far_writer):
            ours, theirs = socket.socketpair()
            reader, writer = await asyncio.open_connection(sock=ours)
            pumps = [
                asyncio.create_task(_pump(far_reader.read, writer)),
                asyncio.create_task(_pump(reader.read, far_writer)),
            ]
            try:
                yield theirs
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                writer.close()
                theirs.close()


async def _pump(read: Callable[[int], Awaitable[bytes]], writer: Writer | asyncio.StreamWriter) -> None:
    while data := await read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


class Connections:
    """Opens connections; hosts behind one bastion share the connection to it. All are closed at the end."""

    def __init__(self) -> None:
        self._open = AsyncExitStack()
        self._bastions: dict[Login, asyncio.Task[asyncssh.SSHClientConnection]] = {}

    async def __aenter__(self) -> Connections:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._bastions.values():
            task.cancel()
        await self._open.aclose()

    async def to(self, host: Host) -> Session:
        """Connect to a host.

        Raises:
            UnreachableError: When it cannot be reached under its pinned key.
        """
        if host.login is None:
            raise UnreachableError("the state has no connection to it: run `pulumi up` to its end")
        hop = None
        if host.bastion is not None:
            hop = await asyncio.shield(self._bastion(host.bastion))
        return Session(host, await self.log_in(host.login, tunnel=hop))

    def _bastion(self, login: Login) -> asyncio.Task[asyncssh.SSHClientConnection]:
        if login not in self._bastions:
            self._bastions[login] = asyncio.create_task(self.log_in(login))
        return self._bastions[login]

    async def log_in(
        self,
        login: Login,
        *,
        tunnel: asyncssh.SSHClientConnection | None = None,
        sock: socket.socket | None = None,
    ) -> asyncssh.SSHClientConnection:
        """Connect to an SSH server: directly, through another connection, or over a socket that leads there.

        Raises:
            UnreachableError: When it cannot be reached under its pinned key, or does not let the account in.
        """
        where = f"{login.user}@{Endpoint(login.address, login.port)}"
        try:
            pin = asyncssh.import_public_key(login.host_key)
            keys: dict[str, object] = {}  # those of the agent
            if login.private_key is not None:
                keys = {"client_keys": [asyncssh.import_private_key(login.private_key)], "agent_path": None}
            async with asyncio.timeout(CONNECT_LIMIT_S):
                connection = await asyncssh.connect(
                    login.address,
                    login.port,
                    username=login.user,
                    tunnel=tunnel,
                    sock=sock,
                    config=None,
                    known_hosts=([pin], [], []),
                    server_host_key_algs=["ssh-ed25519"],
                    preferred_auth="publickey",
                    keepalive_interval=_KEEPALIVE_S,
                    **keys,
                )
        except TimeoutError:
            raise UnreachableError(f"{where} did not answer within {CONNECT_LIMIT_S} s") from None
        except asyncssh.HostKeyNotVerifiable:
            raise UnreachableError(f"{where} has another host key than the pinned one") from None
        except asyncssh.PermissionDenied:
            raise UnreachableError(
                f"{where} does not admit {'the agent' if login.private_key is None else 'the stack'}'s key"
            ) from None
        except asyncssh.KeyImportError as error:
            raise UnreachableError(f"the stack's key for {where} cannot be read: {error}") from None
        except (asyncssh.Error, OSError) as error:
            raise UnreachableError(f"{where} cannot be reached: {error}") from None
        await self._open.enter_async_context(connection)
        return connection
