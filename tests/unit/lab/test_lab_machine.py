"""What a test sees of a command on a host, with a docker that says what it was asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.machine import CommandError, LabHost, hosts

DOCKER = """\
#!/bin/sh
case $1 in
ps) printf 'worker1\\n\\napp1\\n\\n' ;;
*) cat; echo "$@"; echo "no such unit" >&2; exit "${CODE:-0}" ;;
esac
"""


@pytest.fixture(autouse=True)
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "docker"
    script.write_text(DOCKER)
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


def test_a_line_is_the_shells_and_words_are_words() -> None:
    host = LabHost("app1")
    limited = "exec --interactive sealed-data-tier-app1 timeout --signal=KILL 5"
    assert host.run("a | b", timeout=5).stdout == f"{limited} sh -c a | b\n"
    assert host.run(["a", "b c"], timeout=5, stdin="in ").stdout == f"in {limited} a b c\n"


def test_a_failure_tells_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE", "3")
    with pytest.raises(CommandError, match=r"(?s)systemctl start x ended with 3:.*no such unit"):
        LabHost("app1").run(["systemctl", "start", "x"])
    assert LabHost("app1").run("false", check=False).returncode == 3


def test_containers_that_are_no_hosts_are_left_out() -> None:
    assert hosts("other") == {"app1": LabHost("app1", "other"), "worker1": LabHost("worker1", "other")}
