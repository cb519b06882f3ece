"""What the command on a node computes by itself."""

from __future__ import annotations

import pytest

from components.postgres_ha_pair.templates import pair

MB = 1024 * 1024
GB = 1024 * MB


@pytest.mark.parametrize(
    ("memory", "buffers", "cache", "maintenance", "work"),
    [
        (GB // 2, "128MB", "384MB", "64MB", "4MB"),
        (16 * GB, "4096MB", "12288MB", "1024MB", "20MB"),
        (512 * GB, "131072MB", "393216MB", "2048MB", "64MB"),
    ],
)
def test_memory_is_sized_by_the_host(memory: int, buffers: str, cache: str, maintenance: str, work: str) -> None:
    assert pair.sized(memory, 200, {}) == {
        "shared_buffers": buffers,
        "effective_cache_size": cache,
        "maintenance_work_mem": maintenance,
        "work_mem": work,
    }


def test_what_is_given_is_not_sized() -> None:
    assert pair.sized(16 * GB, 200, {"shared_buffers": "1GB"})["shared_buffers"] == "1GB"


def test_files_are_merged_as_patroni_does() -> None:
    known = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    pair.merge(known, {"a": {"c": [3]}, "e": {"f": 1}})
    assert known == {"a": {"b": 1, "c": [3]}, "d": 1, "e": {"f": 1}}


@pytest.mark.parametrize(
    ("value", "text"), [(True, "on"), (False, "off"), (0.9, "0.9"), ("it's", "it''s"), ("\\", "\\\\")]
)
def test_parameters_are_spelled_as_their_file_wants(value: object, text: str) -> None:
    assert pair.spelled(value) == text
