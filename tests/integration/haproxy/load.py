"""Load for a lab host: clients of a Redis or Valkey service that notice every cut connection and every wrong answer.

    python3 load.py HOST:PORT PASSWORD SECONDS [LASTING PASSING]

LASTING clients keep one connection each and count in it; PASSING clients open a new connection for every request. The
result is one line of JSON. Needs nothing but Python's standard library.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from typing import Any

SILENCE_S = 5.0


class Connection:
    """One connection to Redis or Valkey, logged in."""

    def __init__(self, address: tuple[str, int], password: str) -> None:
        self.socket = socket.create_connection(address, timeout=SILENCE_S)
        self.reader = self.socket.makefile("rb")
        self.ask("AUTH", password)

    def ask(self, *words: str) -> str:
        """Send a command and return the one line that answers it."""
        parts = [f"*{len(words)}\r\n", *(f"${len(word.encode())}\r\n{word}\r\n" for word in words)]
        self.socket.sendall("".join(parts).encode())
        line = self.reader.readline().decode()
        if not line:
            raise ConnectionError("closed")
        if line.startswith("-"):
            raise ConnectionError(line.strip())
        return line[1:].strip()

    def close(self) -> None:
        """Close it."""
        self.reader.close()
        self.socket.close()


class Load:
    """Clients, what they did and what went wrong."""

    def __init__(self, address: tuple[str, int], password: str, seconds: float) -> None:
        self.address, self.password = address, password
        self.start = time.time()
        self.end = self.start + seconds
        self.lock = threading.Lock()
        self.requests = 0
        self.connections = 0
        self.longest_ms = 0.0
        self.errors: list[tuple[float, str]] = []

    def lasting(self, number: int) -> None:
        """Count in one connection for as long as the load lasts; after a cut, go on in a new one."""
        key = f"load:{number}:{self.start}"
        connection, count = None, 0
        while time.time() < self.end:
            began = time.time()
            try:
                if connection is None:
                    connection, count = self._connect(), 0
                    connection.ask("DEL", key)
                count += 1
                if (answer := connection.ask("INCR", key)) != str(count):
                    raise ConnectionError(f"INCR answered {answer} instead of {count}")
                self._done(began)
            except OSError as error:
                self._failed(began, f"lasting: {error!r}")
                connection = None
            time.sleep(0.002)

    def passing(self) -> None:
        """Open a connection for every request."""
        while time.time() < self.end:
            began = time.time()
            try:
                connection = self._connect()
                connection.ask("PING")
                connection.close()
                self._done(began)
            except OSError as error:
                self._failed(began, f"passing: {error!r}")
            time.sleep(0.002)

    def _connect(self) -> Connection:
        connection = Connection(self.address, self.password)
        with self.lock:
            self.connections += 1
        return connection

    def _done(self, began: float) -> None:
        with self.lock:
            self.requests += 1
            self.longest_ms = max(self.longest_ms, (time.time() - began) * 1000)

    def _failed(self, began: float, what: str) -> None:
        with self.lock:
            self.errors.append((began, what))
        time.sleep(0.01)

    def result(self) -> dict[str, Any]:
        """What happened. An error's time is when its request began, in seconds since the epoch."""
        times = [at for at, _ in self.errors]
        return {
            "requests": self.requests,
            "connections": self.connections,
            "longest_ms": round(self.longest_ms, 1),
            "errors": len(self.errors),
            "kinds": sorted({what for _, what in self.errors}),
            "first_error": min(times, default=None),
            "last_error": max(times, default=None),
        }


def main() -> None:
    """Run the load."""
    target, password, seconds, *counts = sys.argv[1:]
    host, _, port = target.rpartition(":")
    lasting, passing = map(int, counts or ("8", "2"))
    load = Load((host.strip("[]"), int(port)), password, float(seconds))
    threads = [threading.Thread(target=load.lasting, args=(number,)) for number in range(lasting)]
    threads += [threading.Thread(target=load.passing) for _ in range(passing)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(load.result()))


if __name__ == "__main__":
    main()
