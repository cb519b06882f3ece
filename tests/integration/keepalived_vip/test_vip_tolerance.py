"""What is no fault yet moves nothing, and one more of it does."""

from __future__ import annotations

import time
from typing import Any, Final

import pytest

from tests.integration.cuts import adverts_lost, cut, lost
from tests.integration.keepalived_vip.pair import SETTINGS, Pair
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

LOST_ADVERTS: Final = 6
ADVERT_S: Final = 2
#: The next advert ends the silence, and may itself be late on a busy machine.
FORGIVEN: Final = LOST_ADVERTS - 2
CHECK_S: Final = 2
FALL: Final = 2
FAILURES: Final = "/var/cache/failures"
CHECK: Final = "/usr/local/bin/fails-as-told"
# Fails as many times as the file says.
_CHECK: Final = f"""#!/bin/sh
read -r left <{FAILURES}
[ "$left" -gt 0 ] || exit 0
echo "$((left - 1))" >{FAILURES}
exit 1
"""
#: Slow, so that what a busy machine does late is not taken for a fault.
CALM: Final[dict[str, Any]] = {
    **SETTINGS,
    "instances": [
        {
            **SETTINGS["instances"][0],
            "advertInterval": ADVERT_S,
            "lostAdverts": LOST_ADVERTS,
            "trackScripts": [
                {"name": "told", "command": [CHECK], "interval": CHECK_S, "timeout": CHECK_S * FALL, "fall": FALL}
            ],
        }
    ],
}


@pytest.fixture
def calm(bare: Pair) -> Pair:
    """Two load balancers that are in no hurry, everybody well."""
    for host in bare.hosts.values():
        host.run(f"cat >{CHECK} && chmod 0755 {CHECK}", stdin=_CHECK)
        host.run(f"echo 0 >{FAILURES} && chmod 0666 {FAILURES}")
    bare.restore(CALM, ready=False)
    return bare


def test_fewer_lost_adverts_than_that_many_move_nothing(calm: Pair) -> None:
    standby = calm.other(calm.holder)
    host = calm.hosts[standby]
    begun = time.time()
    with cut(host, adverts_lost(FORGIVEN)):
        wait_for(lambda: lost(host) == FORGIVEN)
        time.sleep(LOST_ADVERTS * ADVERT_S)  # it would be noticed by now
    assert calm.spans(standby, begun) == []
    assert "Entering" not in calm.said(standby, begun)


def test_that_many_lost_adverts_are_the_holders_end(calm: Pair) -> None:
    standby = calm.other(calm.holder)
    begun = time.time()
    with cut(calm.hosts[standby], adverts_lost(LOST_ADVERTS + 1)):
        wait_for(lambda: calm.spans(standby, begun))
    calm.settle()


def test_fewer_failures_than_fall_move_nothing(calm: Pair) -> None:
    holder = calm.holder
    host = calm.hosts[holder]
    begun = time.time()
    host.run(f"echo {FALL - 1} >{FAILURES}")
    wait_for(lambda: "now returning 0" in calm.said(holder, begun))
    assert "now returning 1" in calm.said(holder, begun)
    assert "Entering" not in calm.said(holder, begun)
    assert calm.holder == holder


def test_failures_in_a_row_are_the_holders_end(calm: Pair) -> None:
    former = calm.holder
    calm.hosts[former].run(f"echo {FALL} >{FAILURES}")
    wait_for(lambda: calm.holders() == [calm.other(former)])
