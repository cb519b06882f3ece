"""Whoever asked to be told of a change is told: the hook, and by mail."""

from __future__ import annotations

import pytest

from tests.integration.keepalived_vip.pair import Pair
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]
ACCOUNT = "keepalived_script"


def told(lines: list[str]) -> list[str]:
    """States in the order in which the hook was told of them, each call over before the next one began."""
    calls = list(zip(lines[::2], lines[1::2], strict=True))
    assert [begin.removeprefix("begin ") for begin, _ in calls] == [end.removeprefix("end ") for _, end in calls]
    words = [begin.split() for begin, _ in calls]
    assert {(each[1], each[2], each[3]) for each in words} <= {(ACCOUNT, "INSTANCE", "front")}
    return [each[4] for each in words]


def test_the_hook_is_told_of_each_change_in_order(patient: Pair) -> None:
    former = patient.holder
    other = patient.other(former)
    before = {name: len(patient.hooked(name)) for name in (former, other)}
    for _ in range(2):  # several events within one call's time
        patient.hosts[former].run("systemctl stop haproxy")
        wait_for(lambda: patient.holders() == [other])
        patient.hosts[former].run("systemctl start haproxy")
        wait_for(lambda: patient.state(former)["state"] == 1)
        patient.hosts[other].run("systemctl stop haproxy")
        wait_for(lambda: patient.holders() == [former])
        patient.hosts[other].run("systemctl start haproxy")
        wait_for(lambda: patient.state(other)["state"] == 1)

    def new(name: str) -> list[str]:
        return patient.hooked(name)[before[name] :]

    wait_for(lambda: len(new(former)) == 12 and len(new(other)) == 12)
    assert told(new(former)) == ["FAULT", "BACKUP", "MASTER"] * 2
    assert told(new(other)) == ["MASTER", "FAULT", "BACKUP"] * 2


def test_the_hook_is_told_of_a_stop_too(patient: Pair) -> None:
    former = patient.holder
    before = len(patient.hooked(former))
    try:
        patient.hosts[former].run("systemctl stop keepalived")
        assert told(patient.hooked(former)[before:]) == ["STOP"]
    finally:
        patient.hosts[former].run("systemctl start keepalived")
    wait_for(lambda: len(patient.hooked(former)) == before + 4)
    assert told(patient.hooked(former)[before:]) == ["STOP", "BACKUP"]


def test_a_change_is_told_by_mail(patient: Pair) -> None:
    former = patient.holder
    other = patient.other(former)
    before = len(patient.mails())
    patient.hosts[former].run("systemctl kill -s KILL haproxy")

    def subjects() -> list[str]:
        lines = (line for mail in patient.mails()[before:] for line in mail.splitlines())
        return [line.removeprefix("Subject: ") for line in lines if line.startswith("Subject: ")]

    wait_for(lambda: len(subjects()) >= 2)
    assert f"[{other}] VRRP Instance front - Entering MASTER state" in subjects()
    assert f"[{former}] VRRP Instance front - Entering FAULT state" in subjects()
    mail = patient.mails()[before]
    assert "MAIL FROM:<keepalived@example.com>" in mail
    assert "RCPT TO:<ops@example.com>" in mail
