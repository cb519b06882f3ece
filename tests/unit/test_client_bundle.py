"""What a client gets as files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.client_bundle import main

GROUP = {
    "authority": "the root\n",
    "clientCertificate": "the certificate\n",
    "clientKey": "the key\n",
    "passwords": {"app": "correct-horse"},
    "endpoints": ["192.0.2.11:6379"],
}

PAIR = {
    "authority": "the root\n",
    "clientCertificate": "the certificate\n",
    "clientKey": "the key\n",
    "users": {"lunadirector": "lunadirector_alternate"},
    "passwords": {"lunadirector": "correct:horse\\"},
    "dsns": {
        "lunadirectordb": "postgresql://lunadirector_alternate@192.0.2.100:5432/lunadirectordb"
        "?target_session_attrs=read-write&sslmode=verify-full"
    },
    "endpoints": ["192.0.2.11:5432", "192.0.2.12:5432"],
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
    assert "'sessions' is none of the stack's: use one of orders" in capsys.readouterr().err


def test_a_pair_s_files_are_what_libpq_and_java_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = tmp_path / "ccc"
    assert main(["ccc", str(here)], json.dumps({"ccc": PAIR})) == 0
    assert (here / "pgpass").read_text() == "*:*:*:lunadirector_alternate:correct\\:horse\\\\\n"
    assert {path.stat().st_mode & 0o777 for path in here.iterdir()} == {0o600}
    told = capsys.readouterr().out
    files = f"sslrootcert={here}/root.crt&sslcert={here}/client.crt&sslkey={here}/client.key"
    assert f"psql '{PAIR['dsns']['lunadirectordb']}&{files}'" in told  # type: ignore[index]
    assert (
        "jdbc:postgresql://192.0.2.100:5432/lunadirectordb?user=lunadirector_alternate&sslmode=verify-full"
        f"&sslrootcert={here}/root.crt&targetServerType=primary"
    ) in told
    assert "horse" not in told
