"""One fault of each kind; `make campaign` causes many and measures them."""

from __future__ import annotations

import pytest

from tests.integration.tunnels.faults import FAULTS, Fault, strike
from tests.integration.tunnels.stack import Stack

pytestmark = [pytest.mark.lab, pytest.mark.engine]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_tunnel_is_replaced_and_never_gives_up(stack: Stack, fault: Fault) -> None:
    healing = strike(stack, fault)
    assert healing.as_it_must, healing
