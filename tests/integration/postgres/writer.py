"""An application that writes beside what happens: python3 writer.py DIRECTORY, until the file `stop` is there.

In DIRECTORY: `connection` (URL and password, a line each) and `root.crt`, read anew at each connection, as an
application that starts does. One connection lasts, until it is cut; others are new for each write, ten a second, which
do not wait for each other. Writes are unique numbers; one counts only if its commit was confirmed. What happened is
printed as JSON at the end. The file `begun` tells that what was there before is gone.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg2  # type: ignore[import-untyped] # of the lab's host

DIRECTORY = Path(sys.argv[1])
# How long a server may be silent: what a client has to say for itself, or it waits for hours for a host that is gone.
PATIENCE = {
    "connect_timeout": 2,
    "tcp_user_timeout": 3000,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 2,
}
_AT_ONCE = 40
_PASSING_EVERY_S = 0.1
# The timeline on which the row is written is the beginning of a WAL file's name.
_WRITE = """INSERT INTO written
    VALUES (%s, ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int, %s) RETURNING timeline"""
_NUMBERS = iter(range(1, 10**9))
_LOCK = threading.Lock()


def connect() -> Any:
    dsn, password = (DIRECTORY / "connection").read_text().split()
    client = psycopg2.connect(dsn, password=password, sslrootcert=f"{DIRECTORY}/root.crt", **PATIENCE)
    client.autocommit = True
    return client


def write(client: Any, seen: dict[str, Any], kind: str) -> None:
    with _LOCK:
        number = next(_NUMBERS)
    with client.cursor() as cursor:
        seen["attempted"].append(number)
        cursor.execute(_WRITE, (number, kind))
        (timeline,) = cursor.fetchone()
    seen["confirmed"].append((time.time(), number, timeline))


def stopped() -> bool:
    return (DIRECTORY / "stop").exists()


def last(seen: dict[str, Any]) -> None:
    client = None
    while not stopped():
        try:
            client = client or connect()
            write(client, seen, "lasting")
        except (psycopg2.Error, OSError) as error:
            seen["errors"].append((time.time(), f"lasting: {error}".strip()))
            client = None
            time.sleep(0.05)
        time.sleep(0.01)


def come_and_go(seen: dict[str, Any]) -> None:
    def once() -> None:
        try:
            client = connect()
            write(client, seen, "passing")
            client.close()
        except (psycopg2.Error, OSError) as error:
            seen["errors"].append((time.time(), f"passing: {error}".strip()))

    threads: list[threading.Thread] = []
    while not stopped():
        threads = [each for each in threads if each.is_alive()]
        if len(threads) < _AT_ONCE:
            threads.append(threading.Thread(target=once))
            threads[-1].start()
        time.sleep(_PASSING_EVERY_S)
    for each in threads:
        each.join()


def main() -> None:
    with connect() as client, client.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS written (number bigint PRIMARY KEY, timeline int, kind text)")
        cursor.execute("TRUNCATE written")
    (DIRECTORY / "begun").touch()
    seen: dict[str, dict[str, Any]] = {
        kind: {"attempted": [], "confirmed": [], "errors": []} for kind in ("lasting", "passing")
    }
    threads = [
        threading.Thread(target=last, args=(seen["lasting"],)),
        threading.Thread(target=come_and_go, args=(seen["passing"],)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(seen))


main()
