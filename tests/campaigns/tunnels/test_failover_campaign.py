"""Many faults of one of two workers: how long an application host feels each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.campaigns.results import Campaign
from tests.integration.cache_service.conftest import LAB, SERVICE
from tests.integration.cache_service.faults import FAULTS, Fault, strike, wait_for_worker
from tests.integration.tunnels.stack import Stack

pytestmark = [pytest.mark.lab, pytest.mark.engine]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The cache service of the integration tests; destroyed when the campaign is over."""
    stack = Stack.create(tmp_path_factory.mktemp("cache"), LAB)
    stack.up(cacheService=SERVICE)
    for number in (1, 2):
        wait_for_worker(stack.host("lb1"), number, "UP")
    yield stack
    stack.destroy()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_faults(stack: Stack, fault: Fault, runs: int, campaign: Campaign) -> None:
    campaign.add(f"cache service: {fault.name}", [strike(stack, fault) for _ in range(runs)])
