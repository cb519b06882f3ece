"""Says something in packets of VRRP's IP protocol, or hears it and writes down who said so."""

import socket
import sys
import time
from pathlib import Path

what, address, mark = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with socket.socket(family, socket.SOCK_RAW, 112) as packets:
    if what == "say":
        for _ in range(5):
            packets.sendto(mark.encode(), (address, 0))
            time.sleep(0.1)
    else:
        heard = Path("/run/vrrp.heard")
        heard.touch()
        while True:
            data, sender = packets.recvfrom(1500)
            if mark.encode() in data:
                heard.write_text(str(sender[0]))
