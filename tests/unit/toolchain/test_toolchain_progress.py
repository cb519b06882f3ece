"""Where no terminal shows moving lines, there is a line now and then."""

from __future__ import annotations

import itertools

import pytest

from toolchain import progress


def test_plain_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0.0, 6.0)
    monkeypatch.setattr("toolchain.progress.time.monotonic", lambda: next(clock))
    with progress.report() as report, report.doing("CLI") as update:
        for done in range(4):
            update(f"{done} of 4")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "toolchain: CLI: started"
    assert lines[1].startswith("toolchain: CLI: 2 of 4 (0:")
    assert lines[-1].startswith("toolchain: CLI: done (0:")
    assert len(lines) == 3
