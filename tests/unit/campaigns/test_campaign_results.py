"""How campaigns sum up, and that their results live together in one file."""

from __future__ import annotations

import json
from pathlib import Path

from tests.campaigns.results import Campaign, percentile


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(number) for number in range(20, 0, -1)]
    assert [percentile(values, percent) for percent in (50, 95, 100)] == [10.0, 19.0, 20.0]
    assert percentile([3.0], 50) == 3.0


def test_results_of_a_fault_replace_its_former_ones(tmp_path: Path) -> None:
    said: list[str] = []
    campaign = Campaign(tmp_path / "build" / "campaign.json", said.append)
    campaign.add("one", [1.0, 2.0, 4.0])
    campaign.add("two", [1.0])
    campaign.add("one", [0.123, 3.0], lost=1, unexpected=2, dual_writable_seconds=0.5)
    first, second = json.loads(campaign.path.read_text())
    assert first == {
        "fault": "one",
        "runs": 2,
        "rto_p50": 0.12,
        "rto_p95": 3.0,
        "rto_max": 3.0,
        "lost": 1,
        "unexpected": 2,
        "dual_writable_seconds": 0.5,
    }
    assert second["fault"] == "two"
    assert said[1].startswith("fault two, runs 1, rto_p50 1.0")
