"""The program's options and exit codes, where no host is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from verification import __main__ as program
from verification.export import UnusableStackError, parse


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    """Run the program."""
    monkeypatch.setattr("sys.argv", ["verification", *options])
    return program.main()


def test_unusable_stack_ends_with_two_and_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def export() -> None:
        raise UnusableStackError("there is no stack [bold]x")

    monkeypatch.setattr(program, "export", export)
    report = tmp_path / "report.json"
    assert run(monkeypatch, "--output", str(report)) == 2
    assert capsys.readouterr().err.strip() == "there is no stack [bold]x"
    assert not report.exists()


def test_stack_without_hosts_ends_with_two(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(program, "export", lambda: parse('{"version": 3}'))
    assert run(monkeypatch) == 2
    assert "make up" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["[]", "{", '{"x": {"exceptions": [{"rule": "no reason"}]}}'])
def test_configuration_that_cannot_be_read_ends_with_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str
) -> None:
    host = {"urn": "urn:pulumi:s::p::sealed-data-tier:host:Host::h", "type": "sealed-data-tier:host:Host"}
    state = {"deployment": {"resources": [{**host, "inputs": {"address": "h"}}]}}
    monkeypatch.setattr(program, "export", lambda: parse(json.dumps(state)))
    (tmp_path / "policies.json").write_text(content)
    assert run(monkeypatch, "--policy-pack-config", str(tmp_path / "policies.json")) == 2
    assert "policies.json: cannot be read" in capsys.readouterr().err


def test_network_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, "--client-network", "10.42.0.7/16")
    assert end.value.code == 2
