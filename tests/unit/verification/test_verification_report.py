"""What is said, and when a stack is called sealed."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from verification.family import Outcome
from verification.report import Check, Report
from verification.run import judge

GOOD = Check(name="files", host="app", ok=True, detail="5 files as written")
BAD = Check(name="units", host="lb", ok=False, detail="x.service is [bold]failed")


def shown(*checks: Check) -> str:
    """The table."""
    console = Console(file=io.StringIO(), width=160)
    Report(checks=checks, seconds=1.25).show(console, {"login": "In.", "files": "As written.", "units": "Running."})
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


@pytest.mark.parametrize(("checks", "verdict"), [((GOOD,), "sealed"), ((GOOD, BAD), "open"), ((), "open")])
def test_verdict_needs_every_check_and_at_least_one(checks: tuple[Check, ...], verdict: str) -> None:
    assert Report(checks=checks, seconds=1).verdict == verdict


def test_json_has_the_promised_shape() -> None:
    assert json.loads(Report(checks=(GOOD, BAD), seconds=1).as_json()) == {
        "verdict": "open",
        "checks": [
            {"name": "files", "host": "app", "ok": True, "detail": "5 files as written"},
            {"name": "units", "host": "lb", "ok": False, "detail": "x.service is [bold]failed"},
        ],
    }


def test_table_tells_families_problems_and_verdict() -> None:
    text = shown(GOOD, BAD)
    assert "✓  files  As written.  1/1 hosts" in text
    assert "✗  units  Running.     0/1 hosts" in text
    assert "x.service is [bold]failed" in text
    assert "open: 1 of 2 checks on 2 hosts are well, in 1.2 s" in text


def test_sealed_table_lists_no_problem() -> None:
    assert "what is wrong" not in shown(GOOD)
    assert "sealed: 1 of 1 checks" in shown(GOOD)


def test_what_a_lab_has_in_place_of_something_is_told() -> None:
    console = Console(file=io.StringIO(), width=160)
    Report(checks=(GOOD,), seconds=1, lab="the cache is a stand-in").show(console, {})
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines()[-2:][0].strip() == "lab: the cache is a stand-in"


def test_host_that_is_away_is_told_once_in_the_table() -> None:
    away = Check(name="login", host="lb", ok=False, detail="did not answer")
    text = shown(GOOD, away, Check(name="units", host="lb", ok=False, detail="not done: it could not be asked"))
    assert "did not answer" in text
    assert "could not be asked" not in text


def test_problems_are_checks_of_their_own_and_the_rest_is_one() -> None:
    outcomes = [
        Outcome(host="b", summary="looked at"),
        Outcome(host="a", summary="fine", problems=("one",)),
        Outcome(host="a", problems=("two",)),
        Outcome(host="b", summary="tried"),
    ]
    checks = judge("family", outcomes, ["c"])
    assert [(check.host, check.ok, check.detail) for check in checks] == [
        ("a", False, "one"),
        ("a", False, "two"),
        ("b", True, "looked at; tried"),
        ("c", False, "not done: it could not be asked"),
    ]
    assert {check.name for check in checks} == {"family"}
