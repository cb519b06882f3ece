"""Hosts on which somebody followed the vendor's guide by hand: its tunnel is taken over, and comes back on delete."""

from __future__ import annotations

import pytest

from tests.integration.tunnels.stack import DIRECT, PORT, TUNNELS, USER, Stack, listener, property_of, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.engine]

HOME = f"/home/{USER}"
UNIT = f"""\
[Unit]
Description=SSH Tunnel from WebSphere to HAProxy
After=network.target

[Service]
Type=simple
ExecStart=/usr/bin/ssh -i {HOME}/.ssh/id_ed25519 {USER}@{{address}} -L {PORT}:127.0.0.1:{PORT} -N
Restart=always
RestartSec=30s
User={USER}

[Install]
WantedBy=multi-user.target
"""


def test_tunnel_of_the_guide(hosts: Stack) -> None:
    hosts.up()
    app, far = hosts.host("app1"), hosts.host("worker1")
    for host in (app, far):
        host.run(f"useradd -m -s /bin/bash {USER}; install -d -m 0700 -o {USER} -g {USER} {HOME}/.ssh")
    app.run(
        ["runuser", "-u", USER, "--", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{HOME}/.ssh/id_ed25519"]
    )
    keys = f"cat >{HOME}/.ssh/authorized_keys; chown {USER} {HOME}/.ssh/authorized_keys"
    far.run(keys, stdin=app.run(f"cat {HOME}/.ssh/id_ed25519.pub").stdout)
    app.run(f"ssh-keyscan -t ed25519 {far.address} >{HOME}/.ssh/known_hosts 2>/dev/null")
    app.run(f"cat >/etc/systemd/system/{DIRECT}", stdin=UNIT.format(address=far.address))
    app.run(f"systemctl daemon-reload; systemctl enable --now {DIRECT}")
    wait_for(app, PORT)

    hosts.up(tunnels=TUNNELS)
    wait_for(app, PORT)
    assert property_of(app, DIRECT, "Type") == "notify"
    done = app.run(
        f"runuser -u {USER} -- ssh -o BatchMode=yes -o StrictHostKeyChecking=yes {USER}@{far.address} id", check=False
    )
    assert "Permission denied" in done.stderr, "the key that opened a shell opens nothing any more"

    hosts.up()
    assert property_of(app, DIRECT, "Type") == "simple"
    wait_for(app, PORT)
    for host in (app, far):
        assert host.run(f"getent passwd {USER}").stdout.endswith("/bin/bash\n")
    app.run(f"systemctl disable --now {DIRECT}; rm /etc/systemd/system/{DIRECT}; systemctl daemon-reload")
    for host in (app, far):
        host.run(f"userdel --remove {USER}")


def test_tunnel_of_somebody_else(hosts: Stack) -> None:
    hosts.up()
    app = hosts.host("app1")
    with listener(app, PORT):
        outcome = hosts.up(tunnels=TUNNELS, check=False)
        assert f"localPort {PORT} is taken: " in outcome.text
    hosts.up(tunnels=TUNNELS)
    wait_for(app, PORT)
