"""Many faults of a primary under Sentinel: how long an application cannot write, and what of its writes is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.campaigns.results import Campaign
from tests.integration.redis_tls.faults import CONFIGURATION, FAULTS, Fault, strike
from tests.integration.redis_tls.stack import Stack

pytestmark = [pytest.mark.lab, pytest.mark.engine]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The group of the integration tests; destroyed when the campaign is over."""
    stack = Stack(tmp_path_factory.mktemp("redis"))
    stack.up(CONFIGURATION)
    yield stack
    stack.up(None, check=False)
    stack.project.destroy()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_faults(stack: Stack, fault: Fault, runs: int, campaign: Campaign) -> None:
    all_felt = [strike(stack, fault) for _ in range(runs)]
    lost = sum(len(felt.lost) for felt in all_felt)
    unexpected = sum(fault.fails_over is not None and felt.moved is not fault.fails_over for felt in all_felt)
    campaign.add(
        f"redis under Sentinel: {fault.name}",
        [felt.seconds for felt in all_felt],
        lost=lost,
        unexpected=unexpected,
    )
    assert lost == 0
