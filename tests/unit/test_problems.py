"""Refusals of several readings."""

from __future__ import annotations

import pytest

from components.settings import InvalidConfigurationError, Problems


def test_all_are_told_at_once() -> None:
    problems = Problems()
    for text in ("a", "b"):
        with problems:
            raise InvalidConfigurationError([text])
    with pytest.raises(InvalidConfigurationError) as refused:
        problems.refuse()
    assert refused.value.problems == ["a", "b"]


def test_nothing_is_refused_without_one() -> None:
    Problems().refuse()


def test_other_errors_are_no_problems() -> None:
    with pytest.raises(KeyError), Problems():
        raise KeyError
