"""What a client gets as files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.redis_tls_cluster.bundle import main

GROUP = {
    "authority": "the root\n",
    "clientCertificate": "the certificate\n",
    "clientKey": "the key\n",
    "passwords": {"app": "correct-horse"},
    "endpoints": ["192.0.2.11:6379"],
}


def test_files_are_for_their_owner_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = tmp_path / "bundle"
    here.mkdir()
    (here / "client.key").write_text("an older one")
    assert main(["orders", str(here)], json.dumps({"orders": GROUP})) == 0
    assert {path.name: path.read_text() for path in here.iterdir()} == {
        "root.crt": "the root\n",
        "client.crt": "the certificate\n",
        "client.key": "the key\n",
        "app.password": "correct-horse\n",
    }
    assert {path.stat().st_mode & 0o777 for path in here.iterdir()} == {0o600}
    told = capsys.readouterr().out
    assert "REDISCLI_AUTH" in told
    assert "correct-horse" not in told


def test_unknown_group_is_told_with_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sessions", str(tmp_path)], json.dumps({"orders": GROUP})) == 1
    assert "'sessions' is no group of the stack: use one of orders" in capsys.readouterr().err
