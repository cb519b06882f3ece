"""Nobody is locked out: rules that keep SSH away are put back by the host itself."""

from __future__ import annotations

import pytest

from tests.integration.firewall.conftest import CLOSED, DEPLOYER, FLOW, OTHER, QUICK, Stage

pytestmark = [pytest.mark.lab, pytest.mark.engine]

# Nobody is there: the deploying machine cannot get in any more.
LOCKED_OUT = {"settings": {"mode": "deny", "sshSources": ["192.0.2.1"], **QUICK}}
RIGHT = {"settings": {"mode": "deny", "sshSources": ["192.0.2.1", DEPLOYER], **QUICK}}
# Something else keeps SSH away, from the load of the rules and for longer than they wait.
AWAY = """
table inet away {
    chain input { type filter hook input priority filter - 20; tcp dport 22 ct state new drop; }
}
"""
KEEP_AWAY = """
until nft list ruleset | grep -q another; do sleep 0.05; done
nft -f /run/away.nft
sleep 20
nft delete table inet away
"""
# In front of nft: takes down whatever the timer started, itself included, the first time.
KILLED_ONCE = """#!/bin/sh
[ ! -e /run/kill ] || { rm /run/kill; systemctl kill --signal=KILL 'sealed-data-tier-firewall-trial-*.service'; }
exec /usr/sbin/nft "$@"
"""
RULES = "/etc/sealed-data-tier/firewall.nft"


def has_former_rules(stage: Stage, former: str) -> bool:
    """Whether the host is as it was: rules, file, and SSH for everybody."""
    loaded = stage.table() == former
    return loaded and stage.answer(22) == stage.answer(OTHER) == "open" and stage.answer(CLOSED) == "silent"


@pytest.fixture
def former(stage: Stage) -> str:
    """The rules before: one closed port, confirmed."""
    assert not stage.on_trial()
    return stage.table()


def test_the_former_rules_come_back_and_the_next_up_converges(stage: Stage, former: str) -> None:
    outcome = stage.up(LOCKED_OUT, check=False)
    assert outcome.code != 0
    assert "the new rules are not in force" in outcome.text
    assert f"Let sshSources and sshPort admit this machine, which comes from {DEPLOYER}" in outcome.text
    assert has_former_rules(stage, former), "as soon as up has failed"
    again = stage.up(LOCKED_OUT, check=False)
    assert "the new rules are not in force" in again.text, "nothing is taken for confirmed that is not"
    assert has_former_rules(stage, former)
    stage.up(RIGHT)
    assert stage.answer(22) == stage.answer(OTHER) == "silent"
    assert stage.up(RIGHT).unchanged


def test_without_former_rules_there_are_none_again(bare: Stage) -> None:
    bare.up({"firewall": False})
    bare.serve()
    outcome = bare.up(LOCKED_OUT, check=False)
    assert "the new rules are not in force" in outcome.text
    assert bare.table() == ""
    assert bare.host.run(f"ls {RULES}", check=False).returncode
    bare.up(RIGHT)
    assert bare.answer(OTHER) == "silent"


def test_the_former_configuration_again_is_no_change_on_the_host(stage: Stage, former: str) -> None:
    stage.up(LOCKED_OUT, check=False)
    stage.up()
    assert has_former_rules(stage, former)
    assert stage.up().unchanged


def test_the_same_rules_can_be_tried_again(stage: Stage, former: str) -> None:
    with_rules = {"flows": [{**FLOW, "sources": ["192.0.2.1"], "purpose": "another"}], "settings": QUICK}
    stage.host.run("cat >/run/away.nft", stdin=AWAY)
    stage.host.run(["systemd-run", "--unit=away", "--collect", "sh", "-c", KEEP_AWAY])
    outcome = stage.up(with_rules, check=False)
    assert "the new rules are not in force" in outcome.text
    assert stage.table() == former
    stage.up({**with_rules, "incarnation": "again"})
    assert "another" in stage.table()
    assert not stage.on_trial()
    stage.up()


def test_a_run_that_is_killed_after_the_load(stage: Stage, former: str) -> None:
    kill_after_load(stage)
    stage.host.run("systemctl daemon-reload")  # as the next role would
    stage.wait_for_trial(over=True)
    assert has_former_rules(stage, former)
    stage.up(RIGHT)
    assert stage.answer(OTHER) == "silent"


def test_a_reboot_does_not_bring_unconfirmed_rules_back(stage: Stage, former: str) -> None:
    kill_after_load(stage)
    stage.host.reboot()
    stage.serve()
    assert not stage.on_trial()
    assert has_former_rules(stage, former)
    stage.up(RIGHT)
    assert stage.answer(OTHER) == "silent"


def test_a_restart_of_nftables_in_between_changes_nothing_of_it(stage: Stage, former: str) -> None:
    kill_after_load(stage)
    tried = stage.table()
    stage.host.run("systemctl restart nftables")
    assert stage.table() == tried
    stage.wait_for_trial(over=True)
    stage.host.run("systemctl stop nftables")
    assert has_former_rules(stage, former)
    stage.up()


def test_killed_while_it_puts_back(stage: Stage, former: str) -> None:
    """systemd starts it again."""
    stage.host.run(
        "cat >/usr/local/sbin/nft; chmod +x /usr/local/sbin/nft",
        stdin=KILLED_ONCE,
    )
    try:
        kill_after_load(stage)
        stage.host.run("touch /run/kill")
        stage.wait_for_trial(over=True)
        assert stage.host.run("ls /run/kill", check=False).returncode, "it was killed"
        assert has_former_rules(stage, former)
    finally:
        stage.host.run("rm -f /usr/local/sbin/nft /run/kill")
    stage.up()


def kill_after_load(stage: Stage) -> None:
    """Let a run load rules that lock it out, and kill it before it finds that out."""
    stage.project.configure(stage.configuration(LOCKED_OUT))
    run = stage.project.start("up", "--yes", "--skip-preview")
    stage.wait_for_trial()
    run.kill()
    run.communicate()
    stage.project.pulumi("cancel", "--yes", check=False)
    assert stage.answer(OTHER) == "silent", "the new rules hold"
