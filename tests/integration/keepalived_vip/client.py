"""Connects to the virtual IP again and again, and writes down when which host answered.

client.py ADDRESS PORT FILE: lines of seconds since the epoch and a host's name, one for each answer.
"""

import socket
import sys
import time
from pathlib import Path

address, port, path = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with Path(path).open("w", buffering=1) as answers:
    while True:
        try:
            with socket.socket(family, socket.SOCK_STREAM) as connection:
                connection.settimeout(0.2)
                connection.connect((address, int(port)))
                if name := connection.recv(100).decode().strip():
                    answers.write(f"{time.time():.3f} {name}\n")
        except OSError:
            pass
        time.sleep(0.01)
