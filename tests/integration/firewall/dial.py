"""Dials by tcp or udp, perhaps says something, and prints how it was taken: open, refused or silent."""

import socket
import sys

kind, address, port, *words = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with socket.socket(family, {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[kind]) as connection:
    connection.settimeout(2)
    try:
        connection.connect((address, int(port)))
        for word in words or (["hello"] if kind == "udp" else []):
            connection.send(word.encode())
        print("open" if connection.recv(100) else "refused")
    except TimeoutError:
        print("silent")
    except OSError:
        print("refused")
