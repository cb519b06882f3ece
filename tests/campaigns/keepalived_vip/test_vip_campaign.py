"""Many moves of a virtual IP: how long a client has no answer, and how long two hosts hold it after healing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.campaigns.results import Campaign
from tests.integration.keepalived_vip.faults import FAULTS, Fault, strike
from tests.integration.keepalived_vip.pair import ADVERT_TIMEOUT_S, Pair

pytestmark = [pytest.mark.lab, pytest.mark.engine]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The load balancers of the integration tests; destroyed when the campaign is over."""
    pair = Pair(tmp_path_factory.mktemp("vip"))
    pair.up()
    yield pair
    pair.destroy()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_faults(pair: Pair, fault: Fault, runs: int, campaign: Campaign) -> None:
    all_felt = [strike(pair, fault) for _ in range(runs)]
    both = [felt.both for felt in all_felt]
    unexpected = sum(pair.other(felt.former) not in felt.answered for felt in all_felt)
    campaign.add(f"virtual IP: {fault.name}", [felt.seconds for felt in all_felt], unexpected=unexpected)
    campaign.add(f"virtual IP held by both after healing: {fault.name}", both)
    assert unexpected == 0
    assert max(both) <= ADVERT_TIMEOUT_S
