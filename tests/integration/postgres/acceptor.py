"""Writes ten times a second into the server of its own host, and tells when that was taken: python3 acceptor.py FILE.

Through the local socket, so that a host that is cut off is watched too. A line is appended for each write: the time at
which its commit was confirmed, in seconds since the epoch.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, TextIO

import psycopg2  # type: ignore[import-untyped] # of the lab's host


def accept(cursor: Any, accepted: TextIO) -> None:
    try:
        cursor.execute("CREATE TABLE IF NOT EXISTS accepted (at timestamptz); INSERT INTO accepted VALUES (now())")
    except psycopg2.errors.ReadOnlySqlTransaction:
        return
    accepted.write(f"{time.time():.3f}\n")


with Path(sys.argv[1]).open("a", buffering=1) as accepted:
    while True:
        try:
            client = psycopg2.connect("host=/var/run/postgresql user=postgres dbname=postgres")
            client.autocommit = True
            while True:
                accept(client.cursor(), accepted)
                time.sleep(0.1)
        except psycopg2.Error:
            time.sleep(0.1)
