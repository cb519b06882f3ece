"""The page about policies names every policy and every rule."""

from __future__ import annotations

import re

from policies.pack import NOTES, STACK_NOTES
from policies.rules import FAMILIES
from tests.integration.support import ROOT


def test_every_rule_is_described() -> None:
    page = (ROOT / "docs" / "policies.md").read_text()
    rows = re.findall(r"^\| (?:`([\w-]+)`[^|]*)?\| (?:`([\w-]+)` )?\|", page, re.MULTILINE)
    told: dict[str, list[str]] = {}
    for policy, rule in rows:
        told.setdefault(policy or list(told)[-1], []).extend([rule] if rule else [])
    assert told == {**{family.name: list(family.rules) for family in FAMILIES}, STACK_NOTES: [], NOTES: []}
