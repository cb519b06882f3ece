"""Many faults of a tunnel: how long those who connect through it feel each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.campaigns.results import Campaign
from tests.integration.tunnels.faults import FAULTS, Fault, strike
from tests.integration.tunnels.stack import TUNNELS, Stack

pytestmark = [pytest.mark.lab, pytest.mark.engine]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The tunnels of the integration tests; destroyed when the campaign is over."""
    stack = Stack.create(tmp_path_factory.mktemp("tunnels"))
    stack.up(tunnels=TUNNELS)
    yield stack
    stack.destroy()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_faults(stack: Stack, fault: Fault, runs: int, campaign: Campaign) -> None:
    healings = [strike(stack, fault) for _ in range(runs)]
    unexpected = sum(not each.as_it_must for each in healings)
    campaign.add(f"tunnel: {fault.name}", [each.seconds for each in healings], unexpected=unexpected)
    assert not unexpected, healings
