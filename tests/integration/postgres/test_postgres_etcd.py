"""Where etcd's leader is."""

from __future__ import annotations

import pytest

from tests.integration.postgres.stack import Stack
from tests.integration.support import wait_for

pytestmark = [pytest.mark.engine, pytest.mark.lab]

_COMES_S = 180


def test_etcds_leader_comes_to_the_witness(pair: Stack) -> None:
    leader, timeline = pair.leader(), pair.timeline()
    pair.lead_etcd(leader)
    wait_for(lambda: pair.etcd_leader() == "witness", _COMES_S)
    assert (pair.leader(), pair.timeline()) == (leader, timeline)
