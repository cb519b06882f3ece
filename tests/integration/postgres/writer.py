"""An application that writes beside what happens: python3 writer.py DIRECTORY, until the file `stop` is there.

In DIRECTORY: `connection` (URL and password, a line each) and `root.crt`, read anew at each connection, as an
application that starts does. One connection lasts, until it is cut; another one is new for each write. Writes are
unique numbers; one counts only if its commit was confirmed. What happened is printed as JSON at the end.
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
_NUMBERS = iter(range(1, 10**9))
_LOCK = threading.Lock()


def connect() -> Any:
    dsn, password = (DIRECTORY / "connection").read_text().split()
    client = psycopg2.connect(dsn, password=password, sslrootcert=f"{DIRECTORY}/root.crt", connect_timeout=2)
    client.autocommit = True
    return client


def write(client: Any, seen: dict[str, Any], kind: str) -> None:
    with _LOCK:
        number = next(_NUMBERS)
    with client.cursor() as cursor:
        seen["attempted"].append(number)
        # The row tells on which timeline it was written; a host name would not say who was the primary then.
        cursor.execute("INSERT INTO written SELECT %s, timeline_id, %s FROM pg_control_checkpoint()", (number, kind))
    seen["confirmed"].append((time.time(), number))


def run(kind: str, seen: dict[str, Any], *, lasting: bool, pause: float) -> None:
    client = None
    while not (DIRECTORY / "stop").exists():
        try:
            client = client or connect()
            write(client, seen, kind)
        except (psycopg2.Error, OSError) as error:
            seen["errors"].append((time.time(), f"{kind}: {error}".strip()))
            client = None
            time.sleep(0.05)
        else:
            if not lasting:
                client.close()
                client = None
        time.sleep(pause)


def main() -> None:
    with connect() as client, client.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS written (number bigint PRIMARY KEY, timeline int, kind text)")
        cursor.execute("TRUNCATE written")
    seen: dict[str, dict[str, Any]] = {
        kind: {"attempted": [], "confirmed": [], "errors": []} for kind in ("lasting", "passing")
    }
    threads = [
        threading.Thread(target=run, args=("lasting", seen["lasting"]), kwargs={"lasting": True, "pause": 0.01}),
        threading.Thread(target=run, args=("passing", seen["passing"]), kwargs={"lasting": False, "pause": 0.05}),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(seen))


main()
