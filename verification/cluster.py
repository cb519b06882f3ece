"""Connections to clusters: what the API server has, commands in pods, TCP to pods.

The kubeconfig stays in memory; of a key in it the Kubernetes client makes a file of mode 0600, gone at the end.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import yaml

from verification.connection import ClosedError, UnreachableError
from verification.model import Cluster, Endpoint, Pod

if TYPE_CHECKING:
    from kubernetes.aio.client import ApiClient
    from kubernetes.aio.stream import WsApiClient

CONNECT_LIMIT_S: Final = 12.0
_TOKEN: Final = "BearerToken"  # noqa: S105 - what the client calls a user's token
_WELL: Final = 200
_NO_OBJECT: Final = 404
_CHUNK: Final = 65536  # bytes
# Kubernetes, "v4.channel.k8s.io": the first byte of a message is its channel.
_STDOUT, _STDERR, _STATUS = 1, 2, 3
# Of a forwarded port: data and errors, each of which begins with a message that holds the port.
_DATA, _ERROR = 0, 1

Object = Mapping[str, Any]
Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


class ClusterSession:
    """An open connection to a cluster.

    Attributes:
        cluster: The cluster.
    """

    def __init__(self, cluster: Cluster, rest: ApiClient, streams: WsApiClient) -> None:
        self.cluster = cluster
        self._rest, self._streams = rest, streams

    async def get(self, path: str) -> Object | None:
        """Return what the API server has; None where there is no such object.

        Args:
            path: For example `/api/v1/namespaces/data/pods`.

        Raises:
            UnreachableError: When it does not answer, or refuses.
        """
        import aiohttp  # noqa: PLC0415 - only stacks with a cluster need it

        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                method, url, headers, *_ = await self._rest.param_serialize("GET", path, auth_settings=[_TOKEN])
                answer = await self._rest.call_api(method, url, header_params=headers)
                text = await answer.read()
        except TimeoutError:
            raise UnreachableError(f"the API server did not answer within {CONNECT_LIMIT_S:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(f"the API server cannot be reached: {_words(error)}") from None
        if answer.status == _NO_OBJECT:
            return None
        content = _status(text)
        if answer.status != _WELL:
            raise UnreachableError(f"the API server refuses: {content.get('message') or f'status {answer.status}'}")
        return content

    async def run(self, pod: Pod, container: str, script: str, limit_s: float) -> str:
        """Run a script in a container and return what it wrote.

        Args:
            pod: The pod.
            container: Its container.
            script: POSIX sh. Without secrets: it becomes an argument.
            limit_s: Seconds that it may take.

        Raises:
            UnreachableError: When it could not be run to its end.
        """
        query = [("command", word) for word in ("sh", "-c", script)]
        query += [("container", container), ("stdout", "true"), ("stderr", "true")]
        told = {_STDOUT: b"", _STDERR: b"", _STATUS: b""}
        async with self._stream(pod, "exec", query, limit_s) as stream:
            async for message in stream:
                data = message.data if isinstance(message.data, bytes) else b""
                if data[:1] and data[0] in told:
                    told[data[0]] += data[1:]
        status = _status(told[_STATUS])
        if status.get("status") == "Success":
            return told[_STDOUT].decode(errors="replace")
        words = told[_STDERR].decode(errors="replace").strip().splitlines()[-1:]
        raise UnreachableError("".join(words) or status.get("message") or "the connection broke")

    @asynccontextmanager
    async def dial(self, endpoint: Endpoint, within_s: float) -> AsyncIterator[tuple[Reader, Writer]]:
        """Connect to a port of a pod.

        Args:
            endpoint: Where to, by the pod's whole name: `pod.service.namespace.svc.…`.
            within_s: Seconds until the connection has to stand.

        Raises:
            ClosedError: When nothing takes it.
            TimeoutError: When it is not answered.
        """
        async with self.dial_as_socket(endpoint, within_s) as sock:
            reader, writer = await asyncio.open_connection(sock=sock)
            try:
                yield reader, writer
            finally:
                writer.transport.abort()

    @asynccontextmanager
    async def dial_as_socket(self, endpoint: Endpoint, within_s: float) -> AsyncIterator[socket.socket]:
        """Do the same as `dial`, for those who need a socket."""
        refused: list[str] = []
        async with AsyncExitStack() as stack:
            stream = self._stream(pod_of(endpoint), "portforward", [("ports", str(endpoint.port))], within_s)
            try:
                forwarded = await stack.enter_async_context(stream)
            except UnreachableError as error:
                raise ClosedError(str(error)) from None
            ours, theirs = socket.socketpair()
            reader, writer = await asyncio.open_connection(sock=ours)
            pumps = [
                asyncio.create_task(_to_pod(reader, forwarded)),
                asyncio.create_task(_from_pod(forwarded, writer, refused)),
            ]
            try:
                yield theirs
            except Exception:
                # Whoever waited for an answer was told of a hang-up only.
                if refused:
                    raise ClosedError(refused[0]) from None
                raise
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                writer.close()
                theirs.close()

    @asynccontextmanager
    async def _stream(self, pod: Pod, kind: str, query: list[tuple[str, str]], limit_s: float) -> AsyncIterator[Any]:
        """Open a stream of messages to a pod; `exec` is under the limit whole, a forwarded port until it stands."""
        import aiohttp  # noqa: PLC0415 - only stacks with a cluster need it

        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/{kind}"
        try:
            async with asyncio.timeout(limit_s) as limit:
                _, url, headers, *_ = await self._streams.param_serialize(
                    "GET", path, query_params=query, auth_settings=[_TOKEN]
                )
                connecting = await self._streams.request("GET", url, headers=headers, _preload_content=False)
                async with connecting as stream:
                    if kind != "exec":
                        limit.reschedule(None)
                    yield stream
        except aiohttp.WSServerHandshakeError as error:
            why = "there is no such pod" if error.status == _NO_OBJECT else f"status {error.status}"
            raise UnreachableError(f"the API server does not connect to {pod}: {why}") from None
        except aiohttp.ClientError as error:
            raise UnreachableError(f"{pod} cannot be reached: {_words(error)}") from None
        except TimeoutError:
            if kind != "exec":
                raise
            raise UnreachableError(f"{pod} did not answer within {limit_s:g} s") from None


async def _to_pod(reader: Reader, stream: Any) -> None:  # noqa: ANN401 - aiohttp's
    while data := await reader.read(_CHUNK):
        await stream.send_bytes(bytes([_DATA]) + data)


async def _from_pod(stream: Any, writer: Writer, refused: list[str]) -> None:  # noqa: ANN401
    begun = set()
    try:
        async for message in stream:
            channel, data = message.data[0], message.data[1:]
            if channel not in begun:
                begun.add(channel)
            elif channel == _ERROR:
                # kubelet's words, with its own before: "… failed to connect to localhost:6379 inside namespace …".
                refused.append(data.decode(errors="replace").strip().rpartition(": ")[2])
                break
            else:
                writer.write(data)
                await writer.drain()
    finally:
        writer.close()


def _status(text: bytes) -> dict[str, Any]:
    """Read an answer; of a proxy that says something else, nothing."""
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def pod_of(endpoint: Endpoint) -> Pod:
    """Return the pod that has a name, `pod.service.namespace.svc.…`."""
    name, _, namespace, *_ = endpoint.address.split(".")
    return Pod(namespace, name)


def _words(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "os_error", None) or error
    return str(reason) or type(error).__name__


@asynccontextmanager
async def connected(cluster: Cluster) -> AsyncIterator[ClusterSession]:
    """Log in to a cluster.

    Raises:
        UnreachableError: When its kubeconfig cannot be used.
    """
    # Only stacks with a cluster need it, and it takes half a second to load.
    from kubernetes.aio import config  # noqa: PLC0415
    from kubernetes.aio.client import ApiClient, Configuration  # noqa: PLC0415
    from kubernetes.aio.stream import WsApiClient  # noqa: PLC0415

    settings = Configuration()
    # It warns of a file that is not there by its name, which is a whole kubeconfig where that cannot be read. What
    # programs that log in have to say is an error there.
    logging.getLogger("kubernetes").setLevel(logging.ERROR)
    given = _content(cluster.kubeconfig)
    try:
        async with asyncio.timeout(CONNECT_LIMIT_S):
            if isinstance(given, dict):
                await config.load_kube_config_from_dict(given, cluster.context, settings)
            else:
                await config.load_kube_config(given, cluster.context, settings)
        rest = ApiClient(settings)
    except TimeoutError:
        raise UnreachableError(f"its login did not end within {CONNECT_LIMIT_S:g} s") from None
    # Whatever is in a kubeconfig is an error of its own in there.
    except Exception as error:  # noqa: BLE001
        raise UnreachableError(f"its kubeconfig cannot be used: {_words(error)}") from None
    async with rest, WsApiClient(settings) as streams:
        yield ClusterSession(cluster, rest, streams)


def context_of(kubeconfig: str | None) -> str:
    """Return the current context of a kubeconfig that stands in the state; empty where that does not tell."""
    given = _content(kubeconfig)
    return str(given.get("current-context") or "") if isinstance(given, dict) else ""


def _content(kubeconfig: str | None) -> dict[str, Any] | str | None:
    """Tell the content of a kubeconfig from its path, as Pulumi's provider does."""
    try:
        content = yaml.safe_load(kubeconfig or "")
    except yaml.YAMLError:
        return kubeconfig
    return content if isinstance(content, dict) else kubeconfig or None
