"""How a campaign tells that two servers took writes at once, and how long an application could not write."""

from __future__ import annotations

import pytest

from tests.integration.postgres.faults import overlap
from tests.integration.postgres.stack import Written

TENTHS = [number / 10 for number in range(50)]


@pytest.mark.parametrize(
    ("some", "others", "seconds"),
    [
        (TENTHS, [], 0.0),
        (TENTHS[:10], TENTHS[12:30], 0.0),
        # One, the other, and the first one again.
        (TENTHS[:10] + TENTHS[30:], TENTHS[12:28], 0.0),
        (TENTHS[:20], TENTHS[10:30], 0.9),
        (TENTHS, TENTHS[20:30], 0.9),
        (TENTHS[:10] + TENTHS[20:], TENTHS[5:25], 0.8),
        # Now and then one write, among the other one's.
        (TENTHS, [1.02, 2.02, 3.02], 0.3),
        (TENTHS[:10] + TENTHS[30:], [2.02], 0.0),
    ],
)
def test_servers_that_both_take_writes_are_seen(some: list[float], others: list[float], seconds: float) -> None:
    assert overlap(some, others) == pytest.approx(seconds)
    assert overlap(others, some) == pytest.approx(seconds)


def test_a_change_is_from_the_last_write_to_the_first() -> None:
    written = Written({"lasting": [(1.0, 1, 4), (9.5, 4, 5)], "passing": [(1.2, 2, 4), (9.0, 3, 5), (12.0, 5, 6)]})
    assert written.change == pytest.approx(7.8)
    assert written.longest_gap == pytest.approx(7.8)
    assert written.numbers == {1, 2, 3, 4, 5}


def test_without_a_new_timeline_there_is_no_change() -> None:
    written = Written({"lasting": [(1.0, 1, 4), (1.1, 2, 4)], "passing": [(3.0, 3, 4)]})
    assert written.change is None
    assert written.longest_gap == pytest.approx(1.9)
