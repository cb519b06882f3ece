"""Campaigns cause many faults and take long: without --run-campaigns they are deselected.

pytest tests/campaigns --run-campaigns [--campaign-runs N]
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.campaigns.results import Campaign
from tests.integration.support import ROOT

__all__ = ["Campaign"]
_HERE: Final = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("campaigns")
    group.addoption("--run-campaigns", action="store_true", help="run the campaigns")
    group.addoption("--campaign-runs", type=int, default=20, help="faults of each kind (default 20)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-campaigns", default=False):
        return
    campaigns = [item for item in items if _HERE in item.path.parents]
    items[:] = [item for item in items if item not in campaigns]
    if campaigns:
        config.hook.pytest_deselected(items=campaigns)


@pytest.fixture
def runs(pytestconfig: pytest.Config) -> int:
    """How many faults of each kind to cause."""
    return int(pytestconfig.getoption("--campaign-runs"))


@pytest.fixture
def campaign(capsys: pytest.CaptureFixture[str]) -> Campaign:
    """Where results go: into build/campaign.json, each as soon as it is there, and onto the terminal."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", flush=True)

    return Campaign(ROOT / "build" / "campaign.json", say)
