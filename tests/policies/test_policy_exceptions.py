"""Exceptions: what they cover, how they end, and that those in force are told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.exceptions import Exemption, judge, schema
from policies.rules import FAMILIES, Finding
from tests.policies.support import HAPROXY, ROLE, Outcome, validate

TODAY = datetime.now(tz=UTC).date()
TEXT = "frontend f\n    bind *:443 ssl crt /etc/x.pem\n"
WIDE = "frontend f\n    bind *:443 ssl crt /etc/x.pem\n    bind *:80\n"


def asked(text: str = TEXT, **exception: Any) -> Outcome:
    item = {"rule": "haproxy-bind", "reason": "clients are on other hosts", "expires": str(TODAY), **exception}
    config = {"bind-to-localhost": {"exceptions": [item]}}
    return validate(ROLE, {"files": {HAPROXY: text}}, name="lb1-haproxy", config=config)


@pytest.mark.parametrize(
    "scope",
    [
        {"resource": "lb1-haproxy"},
        {"resource": "lb?-*"},
        {"path": HAPROXY},
        {"path": "/etc/haproxy/*"},
        {"resource": "lb1-*", "path": "*.cfg", "value": "bind *:443 ssl *"},
        {"resource": "*", "expires": str(TODAY + timedelta(days=1))},
    ],
)
def test_in_force(scope: Mapping[str, str]) -> None:
    outcome = asked(**scope)
    assert outcome.violations == []
    [note] = outcome.notes
    day = scope.get("expires", str(TODAY))
    assert note.startswith(
        f"exception until {day} (clients are on other hosts): lb1-haproxy: {HAPROXY}:2: `bind *:443 ssl"
    )


@pytest.mark.parametrize(
    "scope",
    [
        {"resource": "lb2-*"},
        {"path": "/etc/haproxy"},
        {"resource": "*", "value": "bind *:80"},
        {"resource": "*", "rule": "redis-bind"},
        {"resource": "LB1-HAPROXY"},
    ],
)
def test_about_something_else(scope: Mapping[str, str]) -> None:
    outcome = asked(**scope)
    assert outcome.rules == {"haproxy-bind"}
    assert outcome.notes == []


def test_covers_one_line_of_a_file() -> None:
    outcome = asked(WIDE, path=HAPROXY, value="bind *:443 *")
    assert len(outcome.violations) == len(outcome.notes) == 1
    assert "`bind *:80`" in outcome.violations[0][1]


def test_expired() -> None:
    yesterday = TODAY - timedelta(days=1)
    [(_, message)] = asked(resource="*", expires=str(yesterday)).violations
    assert message.endswith(
        f"[haproxy-bind] The exception for it (clients are on other hosts) ended on {yesterday}: renew or remove it."
    )


def test_a_day_that_is_none() -> None:
    [(_, message)] = asked(resource="*", expires="2026-02-31").violations
    assert "has no day '2026-02-31'" in message


def test_a_valid_exception_beside_an_expired_one() -> None:
    items = [
        {"rule": "haproxy-bind", "resource": "*", "reason": "the first of them", "expires": "2020-01-01"},
        {"rule": "haproxy-bind", "resource": "*", "reason": "the second one", "expires": "2999-01-01"},
    ]
    config = {"bind-to-localhost": {"exceptions": items}}
    outcome = validate(ROLE, {"files": {HAPROXY: TEXT}}, config=config)
    assert outcome.violations == []
    assert "the second one" in outcome.notes[0]


def test_notes_are_told_once_and_of_their_own_resource() -> None:
    assert len(asked(resource="*").notes) == 1
    assert len(asked(resource="*").notes) == 1


def test_schema_knows_every_rule() -> None:
    for family in FAMILIES:
        item = schema(list(family.rules))["exceptions"]["items"]
        assert item["properties"]["rule"]["enum"] == list(family.rules)
        assert item["required"] == ["rule", "reason", "expires"]
        assert item["additionalProperties"] is False


@given(day=st.dates(), expires=st.dates())
def test_it_holds_to_its_last_day(day: date, expires: date) -> None:
    exemption = Exemption.of({"rule": "r", "resource": "*", "reason": "why not?", "expires": expires.isoformat()})
    finding = Finding(rule="r", path="/x", value="v", problem="p", fix="f")
    assert judge("x", finding, [exemption], day).violated is (day > expires)
