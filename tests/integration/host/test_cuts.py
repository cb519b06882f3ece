"""One cut of each kind; `make campaign` makes many, at randomly chosen moments."""

from __future__ import annotations

import pytest

from tests.integration.host.conftest import Target
from tests.integration.host.cuts import CUTS, Cut, strike_once

pytestmark = [pytest.mark.lab, pytest.mark.engine]


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.name)
def test_next_up_converges(target: Target, cut: Cut) -> None:
    with cut.prepare(target):
        strike_once(target, cut, {"port": 31101}, delay=0.2)
        target.up({"role": False})
