"""The power switch of the lab's hosts, for those on them: POST /NAME over HTTP, answered with 200 once it is off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Kind(StrEnum):
    """What the switch does."""

    REAL = "real"
    FAILS = "fails"
    HANGS = "hangs"
    LIES = "lies"


@dataclass
class Switch:
    """A switch, and what it was asked.

    Attributes:
        port: Where it is asked.
        kind: What it does.
        asked: Names of the hosts that were to be switched off.
    """

    port: int
    kind: Kind = Kind.REAL
    asked: list[str] = field(default_factory=list)


_HANGS_S = 60


@contextmanager
def switch(address: str, cut: Callable[[str], None]) -> Iterator[Switch]:
    """Offer a switch.

    Args:
        address: Where it listens.
        cut: Takes a host's power away.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            name = self.path.strip("/")
            known.asked.append(name)
            match known.kind:
                case Kind.REAL:
                    cut(name)
                case Kind.HANGS:
                    time.sleep(_HANGS_S)
                case Kind.FAILS:
                    self.send_error(503, "the power strip does not answer")
                    return
                case Kind.LIES:
                    pass
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((address, 0), Handler) as server:
        server.daemon_threads = True
        known = Switch(server.server_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield known
        finally:
            server.shutdown()
