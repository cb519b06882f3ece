"""Three load balancers: whoever is lost, one of those that are left holds the addresses."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Final

import pytest

from tests.integration.keepalived_vip.pair import NAMES, PATIENT, THIRD, VIP6, Pair
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

THREE: Final[dict[str, Any]] = {**PATIENT, "nodes": [{"host": name} for name in (*NAMES, THIRD)]}
BACKUP: Final = 1


def test_of_three_hosts_the_last_one_still_serves(patient: Pair) -> None:
    patient.up(THREE)
    patient.settle()
    left = list(patient.hosts)
    with ExitStack() as healed:
        while len(left) > 1:
            former = patient.holder
            healed.enter_context(patient.without_power(former))
            left.remove(former)

            def one_serves() -> bool:
                holders = patient.holders()
                return len(holders) == 1 and patient.holders(VIP6) == holders == [patient.asked()]

            wait_for(one_serves)
            standbys = [name for name in left if name != patient.holder]
            assert [patient.state(name)["state"] for name in standbys] == [BACKUP] * len(standbys)
    patient.settle()
    # Whoever holds them may leave the stack.
    nodes = [{"host": name} for name in patient.hosts if name != patient.holder]
    patient.up({**PATIENT, "nodes": nodes})
    patient.settle()
