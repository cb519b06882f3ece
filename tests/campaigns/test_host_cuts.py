"""At least fifty transactions, cut at randomly chosen moments, each followed by one plain `up` that has to converge."""

from __future__ import annotations

import os
import random
from typing import Final

import pytest

from tests.campaigns.results import Campaign
from tests.integration.host.conftest import Target, stack, target
from tests.integration.host.cuts import CUTS, LONGEST_DELAY_S, Cut, strike_once

pytestmark = [pytest.mark.lab, pytest.mark.engine]
__all__ = ["stack", "target"]  # fixtures

SEED: Final = int(os.environ.get("SEED", random.SystemRandom().randrange(2**32)))
"""Printed with the result; the same seed strikes at the same moments."""


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.name)
def test_every_cut_converges(target: Target, cut: Cut, runs: int, campaign: Campaign) -> None:
    chance = random.Random(f"{SEED} {cut.name}")
    seconds, hits = [], 0
    with cut.prepare(target):
        for number in range(runs):
            # First installation, change and removal take turns.
            config = ({"port": 31200 + number}, {"port": 31300 + number}, {"role": False})[number % 3]
            outcome = strike_once(target, cut, config, chance.uniform(0, LONGEST_DELAY_S))
            seconds.append(outcome.seconds)
            hits += outcome.hit
        target.up({"role": False})
    campaign.say(f"{cut.name}: seed {SEED}, {hits} of {runs} hit")
    campaign.add(f"host: {cut.name} in mid-apply", seconds)
