"""From hosts that exist to a sealed service, and what becomes of it over the years."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.production.conftest import NAME, POLICIES, PROGRAM, SERVICE, Production
from tests.integration.production.recording import record
from tests.integration.support import Project, difference
from tests.integration.tunnels.stack import journal, tree
from tests.integration.verification.verdict import verify

pytestmark = [pytest.mark.lab, pytest.mark.engine]


def sealed(production: Production) -> bool:
    verdict = verify(production.project, production.project.directory / "verification.json")
    assert verdict.code == 0, verdict.text
    return not verdict.wrong


def trees(production: Production) -> list[str]:
    return [f"{name} {line}" for name in production.hosts for line in tree(production.host(name))]


def logins(production: Production) -> int:
    return sum(journal(production.host(name), "Accepted publickey for ops") for name in production.hosts)


def test_sealed_by_one_up_and_left_as_it_was(production: Production) -> None:
    before = trees(production)
    outcome = production.up()
    record(production)
    assert production.password not in outcome.text
    assert sealed(production)
    assert production.up().unchanged
    production.project.destroy()
    assert difference(before, trees(production)) == ""


def test_state_that_was_lost(production: Production, tmp_path: Path) -> None:
    """A new state takes over what the old one left on the hosts, and still gives back what was there before both."""
    before = trees(production)
    (tmp_path / "lost").mkdir()
    lost = Project.create(tmp_path / "lost", PROGRAM, name=NAME)
    Production(lost, production.hosts, production.password).configure()
    lost.up()
    shutil.rmtree(lost.directory)
    production.up()
    assert sealed(production)
    production.project.destroy()
    assert difference(before, trees(production)) == ""


def test_host_that_leaves(production: Production) -> None:
    before = tree(production.host("worker2"))
    production.up()
    hosts = {name: host for name, host in production.hosts.items() if name != "worker2"}
    production.configure(hosts, workers=SERVICE["workers"][:1])
    production.up()
    assert difference(before, tree(production.host("worker2"))) == ""
    assert sealed(production)


def test_host_that_is_away_and_one_that_is_left_out(production: Production) -> None:
    """What the operating guide says of a host that is away for some days."""
    production.up()
    production.configure(defaultServer={"inter": "2s"}, timing={"serverAliveInterval": 2})
    away = production.host("worker2")
    away.kill()
    try:
        preview = production.project.pulumi("preview", "--diff", *POLICIES)
        assert "default-server inter 2s" in preview.text, "a preview needs no host"
        assert production.up(check=False).code != 0
        left_out = production.project.up("--exclude", "**::worker2-*", *POLICIES)
        assert "inter 2s" in production.host("lb1").run("cat /etc/haproxy/haproxy.cfg").stdout, left_out.text
    finally:
        away.start()
    production.up()
    assert sealed(production)


def test_every_mistake_is_told_before_any_host_is_dialled(production: Production) -> None:
    before = logins(production)
    hosts = {**production.hosts, "lb1": {**production.hosts["lb1"], "hostKey": "ssh-rsa AAAA", "adress": "x"}}
    production.configure(hosts, port=80)
    outcome = production.up(check=False)
    assert outcome.code != 0
    assert "hosts.lb1.hostKey" in outcome.text
    assert "hosts.lb1.adress: nobody reads this key: use one of address" in outcome.text
    assert "cacheService.port: 80 is a privileged port" in outcome.text
    assert logins(production) == before
