"""A change cuts no connection; a broken one changes nothing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.integration.haproxy.stage import CACHES, SETTINGS, Stage, varied

pytestmark = pytest.mark.lab

RELOADS = 5


def test_reloads_cut_no_connection_under_load(stage: Stage) -> None:
    processes = {stage.process()}
    with stage.load(12) as load:
        for number in range(RELOADS):
            stage.apply(varied(maxqueue=2000 + number))
            processes.add(stage.process())
    assert len(processes) == RELOADS + 1
    assert load.errors == 0, load.result
    assert load.result["requests"] > 1000


def test_a_new_password_cuts_no_connection(stage: Stage) -> None:
    old, new = stage.password, f"new {stage.password}"
    before = stage.process()
    try:
        with stage.load(10) as load:
            for each in CACHES:
                stage.admit(each, old, new)
            stage.password = new
            stage.apply()
        assert load.errors == 0, load.result
        for each in CACHES:
            stage.admit(each, new)
        stage.wait_until_up()
        assert stage.process() != before
    finally:
        stage.password = old


def test_a_new_bind_and_server_need_no_restart(stage: Stage) -> None:
    settings = deepcopy(SETTINGS)
    settings["frontends"][0]["binds"].append({"address": "127.0.0.2", "port": 31380})
    settings["backends"][0]["servers"] = settings["backends"][0]["servers"][:1]
    with stage.load(6) as load:
        stage.apply(settings)
        assert stage.host.run("ss -Hltn 'sport = :31380'").stdout.split()[3] == "127.0.0.2:31380"
        stage.apply()
        assert not stage.host.run("ss -Hltn 'sport = :31380'").stdout
    assert load.errors == 0, load.result


def exposed(**more: Any) -> dict[str, Any]:
    settings = deepcopy(SETTINGS)
    settings["frontends"][0]["binds"].append({"port": 31381, "exposedBecause": "a test", **more})
    return settings


def refused(stage: Stage, settings: dict[str, Any] | None = None, append: str = "") -> tuple[int, str]:
    """Apply what has to be refused, under load, and see that nobody and nothing took notice."""
    look = "sha256sum /etc/haproxy/* /etc/systemd/system/haproxy.service.d/* 2>/dev/null; ls -lA /etc/haproxy"
    files, process = stage.host.run(look).stdout, stage.process()
    with stage.load(4) as load:
        done = stage.apply(settings, append=append, check=False)
    assert load.errors == 0, load.result
    assert stage.host.run(look).stdout == files
    assert stage.process() == process
    return done.returncode, done.stderr


def test_what_haproxy_refuses_changes_nothing(stage: Stage) -> None:
    status, said = refused(stage, append="    maxconnn 5\n")
    assert status == 65
    assert "unknown keyword 'maxconnn' in 'backend' section" in said


def test_an_address_of_another_host_changes_nothing(stage: Stage) -> None:
    status, said = refused(stage, exposed(address="192.0.2.77"))
    assert status == 65
    assert "192.0.2.77 is no address of this host" in said


def test_a_port_of_another_program_changes_nothing(stage: Stage) -> None:
    settings = deepcopy(SETTINGS)
    settings["frontends"][0]["binds"].append({"address": "127.0.0.2", "port": int(f"3{CACHES[0]}")})
    stage.host.run("systemd-run --quiet --collect --unit=stage-taken socat TCP-LISTEN:31382 /dev/null")
    try:
        settings["frontends"][0]["binds"][-1]["port"] = 31382
        status, said = refused(stage, settings)
    finally:
        stage.host.run("systemctl stop stage-taken")
    assert status == 65
    assert "port 31382 is taken by another program: " in said
    assert "socat" in said


def test_a_virtual_ip_may_be_somewhere_else(stage: Stage) -> None:
    stage.apply(exposed(address="192.0.2.77", transparent=True))
    assert stage.host.run("ss -Hltn 'sport = :31381'").stdout.split()[3] == "192.0.2.77:31381"


def test_a_start_that_fails_only_on_the_host_is_noticed_and_put_back(stage: Stage) -> None:
    """More connections than open files: `haproxy -c` takes it, the reload says it went well, and nothing runs it."""
    stage.host.run("prlimit --nofile=10000:10000 --pid $(systemctl show -P MainPID haproxy.service)")
    with stage.load(25, passing=1) as load:
        done = stage.apply({**SETTINGS, "maxconn": 100_000}, check=False)
    assert done.returncode == 70
    assert "not healthy within 20 s: runs what was written" in done.stderr
    assert "Cannot raise FD limit" in done.stderr
    assert load.errors == 0, load.result
    assert "maxconn 100000" not in stage.host.run("cat /etc/haproxy/haproxy.cfg").stdout


def test_nothing_of_the_password_is_where_others_read(stage: Stage) -> None:
    modes = stage.host.run("stat -c '%a %U:%G' /etc/haproxy/environment.cfg /run/haproxy/admin.sock").stdout.split("\n")
    assert modes[0] == "600 root:root"
    assert modes[1].startswith("600 root:")
    text = stage.host.run("cat /etc/haproxy/haproxy.cfg; journalctl -u haproxy -o cat").stdout
    assert "${CACHE_PASSWORD}" in text
    assert "w\\x5c" not in text  # how environment.cfg has a part of it
    for process in stage.host.run("pgrep -x haproxy").stdout.split():
        readable = stage.host.run(f"setpriv --reuid=nobody --clear-groups cat /proc/{process}/environ", check=False)
        assert readable.returncode != 0
        assert "w\\x5c" not in stage.host.run(f"cat /proc/{process}/cmdline").stdout
