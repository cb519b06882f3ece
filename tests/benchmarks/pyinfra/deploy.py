# mypy: disable-error-code="import-not-found"
"""The load balancer of ../role.py with pyinfra's own operations."""

from pyinfra import config, host
from pyinfra.operations import apt, files, server, systemd
from pyinfra.operations.util import any_changed

FILES = host.data.files
UNIT = "haproxy.service"

config.SUDO = True

apt.packages(packages=["haproxy"], no_recommends=True)
server.user(
    user="cache-probe",
    system=True,
    home="/nonexistent",
    ensure_home=False,
    create_home=False,
    shell="/usr/sbin/nologin",
)
files.directory(path=f"/etc/systemd/system/{UNIT}.d", user="root", group="root", mode="755")
files.directory(path="/etc/cache-probe", user="root", group="cache-probe", mode="750")
password = files.template(
    src=f"{FILES}/environment.cfg.j2",
    dest="/etc/haproxy/environment.cfg",
    user="root",
    group="root",
    mode="600",
    password=host.data.password,
)
configuration = files.template(
    src=f"{FILES}/haproxy.cfg.j2",
    dest="/etc/haproxy/haproxy.cfg",
    user="root",
    group="root",
    mode="644",
    maxconn=host.data.maxconn,
)
files.put(src=f"{FILES}/probe.conf", dest="/etc/cache-probe/probe.conf", user="root", group="cache-probe", mode="640")
drop_in = files.put(
    src=f"{FILES}/haproxy.service.conf",
    dest=f"/etc/systemd/system/{UNIT}.d/cache-service.conf",
    user="root",
    group="root",
    mode="644",
)
systemd.daemon_reload(_if=drop_in.did_change)
systemd.service(service=UNIT, running=True, enabled=True)
systemd.service(service=UNIT, restarted=True, _if=drop_in.did_change)
systemd.service(service=UNIT, reloaded=True, _if=any_changed(password, configuration))
