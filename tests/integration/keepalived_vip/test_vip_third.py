"""Three load balancers: whoever is lost, one of those that are left holds the addresses."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Final

import pytest

from lab.machine import LabHost
from tests.integration.keepalived_vip.pair import NAMES, SETTINGS, THIRD, VIP6, Pair
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

THREE: Final[dict[str, Any]] = {**SETTINGS, "nodes": [{"host": name} for name in (*NAMES, THIRD)]}
BACKUP: Final = 1


def lose(host: LabHost, healed: ExitStack) -> None:
    host.kill()
    healed.callback(host.start)


def test_of_three_hosts_the_last_one_still_serves(pair: Pair) -> None:
    pair.up(THREE)
    pair.settle()
    left = list(pair.hosts)
    with ExitStack() as healed:
        while len(left) > 1:
            former = pair.holder
            lose(pair.hosts[former], healed)
            left.remove(former)

            def one_serves() -> bool:
                holders = pair.holders()
                return len(holders) == 1 and pair.holders(VIP6) == holders == [pair.asked()]

            wait_for(one_serves)
            standbys = [name for name in left if name != pair.holder]
            assert [pair.state(name)["state"] for name in standbys] == [BACKUP] * len(standbys)
    pair.settle()
    # Whoever holds them may leave the stack.
    nodes = [{"host": name} for name in pair.hosts if name != pair.holder]
    pair.up({**SETTINGS, "nodes": nodes})
    pair.settle()
