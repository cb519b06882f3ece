"""One lab for all tests of virtual IPs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.keepalived_vip.pair import PATIENT, Pair


@pytest.fixture(scope="package")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two hosts without load balancers; destroyed when the last test of this folder is done."""
    pair = Pair(tmp_path_factory.mktemp("vip"))
    yield pair
    pair.destroy()


@pytest.fixture
def pair(bare: Pair) -> Pair:
    """Two load balancers with a virtual IP, everybody well."""
    bare.restore()
    return bare


@pytest.fixture
def patient(bare: Pair) -> Pair:
    """The same, who forgive a busy machine: nothing moves the addresses but what a test does."""
    bare.restore(PATIENT)
    return bare
