"""The quickest faults: somebody leads and has the address, and nothing confirmed is lost. All others: the campaign."""

from __future__ import annotations

import pytest

from tests.integration.postgres.faults import QUICK, Fault, strike, watch
from tests.integration.postgres.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.lab]


@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.name)
def test_nothing_is_lost(pair: Stack, fault: Fault) -> None:
    watch(pair)
    felt = strike(pair, fault)
    assert felt.fits(fault), felt
    assert (felt.lost, felt.unexpected, felt.both) == (0, 0, 0), felt
    # Who leads is no matter of the configuration.
    assert pair.project.up().unchanged
