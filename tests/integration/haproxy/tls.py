"""TLS servers and clients for a lab host, with what a test needs to see of them. Python's standard library only.

python3 tls.py serve PORT NAME CERTIFICATE [proxied]   answer every connection with NAME; `proxied` expects PROXY v2
python3 tls.py ask HOST PORT VERSION COUNT [ADDRESS]   connect COUNT times, each time resuming the session, as if
                                                       from ADDRESS by PROXY v1; the answers in JSON
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import threading

PROXY_V2 = b"\r\n\r\n\x00\r\nQUIT\n"


def serve(port: int, name: str, certificate: str, proxied: bool) -> None:
    """Answer every connection with a name and, where there is a PROXY header, with the client's address in it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.options |= ssl.OP_NO_TICKET  # TLS 1.2 resumes by session id then, which a load balancer can read
    listener = socket.create_server(("0.0.0.0", port), backlog=64)

    def answer(connection: socket.socket) -> None:
        try:
            client = ""
            if proxied:
                head = connection.recv(16, socket.MSG_WAITALL)
                body = connection.recv(int.from_bytes(head[14:16], "big"), socket.MSG_WAITALL)
                client = (
                    f" {socket.inet_ntoa(body[:4])}" if head[:12] == PROXY_V2 and head[13] == 0x11 else " no header"
                )
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.sendall(f"{name}{client}\n".encode())
                tls.unwrap()  # OpenSSL forgets the session of a connection that is not closed properly
        except OSError:
            connection.close()

    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


def ask(host: str, port: int, version: str, count: int, source: str | None) -> list[dict[str, object]]:
    """Connect again and again, offering the last session."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the test looks at HAProxy between, not at the server
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    context.options |= ssl.OP_NO_TICKET
    answers: list[dict[str, object]] = []
    session = None
    for _ in range(count):
        connection = socket.create_connection((host, port), timeout=5)
        if source:
            connection.sendall(f"PROXY TCP4 {source} 192.0.2.1 1024 {port}\r\n".encode())
        with context.wrap_socket(connection, session=session) as tls:
            answers.append({"server": tls.recv(100).decode().strip(), "resumed": tls.session_reused})
            session = tls.session
            tls.unwrap()
    return answers


if __name__ == "__main__":
    verb, *words = sys.argv[1:]
    if verb == "serve":
        serve(int(words[0]), words[1], words[2], "proxied" in words[3:])
    else:
        print(json.dumps(ask(words[0], int(words[1]), words[2], int(words[3]), words[4] if words[4:] else None)))
