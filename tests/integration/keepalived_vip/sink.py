"""Takes mail by SMTP on port 25 and writes each message down: sink.py FILE."""

import asyncio
import sys
from pathlib import Path

MAILS = Path(sys.argv[1])


async def _message(reader: asyncio.StreamReader) -> str:
    lines = []
    while (line := (await reader.readline()).decode()) not in (".\r\n", ""):
        lines.append(line)
    return "".join(lines)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 sink ESMTP\r\n")
    envelope = ""
    while line := (await reader.readline()).decode():
        verb = line.split()[0].upper() if line.split() else ""
        if verb == "DATA":
            writer.write(b"354 go on\r\n")
            message = await _message(reader)
            with MAILS.open("a") as mails:
                mails.write(f"{envelope}{message}\n====\n")
        elif verb in ("MAIL", "RCPT"):
            envelope += line
        writer.write(b"221 bye\r\n" if verb == "QUIT" else b"250 ok\r\n")
        await writer.drain()
        if verb == "QUIT":
            break
    writer.close()


async def _main() -> None:
    async with await asyncio.start_server(_serve, "0.0.0.0", 25) as server:
        await server.serve_forever()


asyncio.run(_main())
