"""The application is told where its cache is by the vendor's script; a stand-in for it records what it can see."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from lab.machine import LabHost
from tests.integration.cache_service.conftest import SERVICE
from tests.integration.support import Outcome
from tests.integration.tunnels.stack import Stack

pytestmark = [pytest.mark.lab, pytest.mark.engine]

PASSWORD = "Adm1n's $ecret"
FOLDER = "/opt/HCL"
SCRIPT = f"{FOLDER}/configureCacheService.sh"
CONNECTIONS = {"host": "app1", "script": SCRIPT, "url": "https://connections.example.com", "user": "wasadmin"}
# Everything that any process shows while the script runs, as root and as anyone.
RECORDER = f"""\
#!/bin/bash
echo run >>{FOLDER}/runs
printf '%s\\n' "$@" >{FOLDER}/arguments
cat >{FOLDER}/stdin
env >{FOLDER}/environment
cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' >{FOLDER}/processes
ps -eo args >>{FOLDER}/processes
"""


@pytest.fixture
def application(stack: Stack) -> Iterator[LabHost]:
    """The host with the script, which works."""
    host = stack.host("app1")
    host.run(f"mkdir -p {FOLDER}; cat >{SCRIPT}", stdin=RECORDER)
    yield host
    host.run(f"rm -r {FOLDER}")
    stack.up(cacheService=SERVICE)


def configure(stack: Stack, **changes: Any) -> Outcome:
    """Run `pulumi up` with the script, its password being secret in the configuration as it has to be."""
    service = {**deepcopy(dict(SERVICE)), "connections": {**CONNECTIONS, **changes}}
    stack.applied = None
    stack.project.configure({"lab": dict(stack.lab), "cacheService": service})
    stack.project.pulumi("config", "set", "--secret", "--path", "cacheService.connections.password", "--", PASSWORD)
    return stack.project.up(check=False)


def runs(host: LabHost) -> int:
    """How often the script was run."""
    return host.run(f"cat {FOLDER}/runs 2>/dev/null || :").stdout.count("run")


def leaks(stack: Stack, host: LabHost, *outputs: str) -> list[str]:
    """Where a password stands that must not stand there."""
    places = {f"output {number}": text for number, text in enumerate(outputs)}
    places |= {name: host.run(f"cat {FOLDER}/{name}").stdout for name in ("environment", "processes", "stdin")}
    places["journal"] = host.run("journalctl --no-pager").stdout
    state = stack.project.directory / "state"
    places |= {str(path): path.read_text(errors="replace") for path in state.rglob("*") if path.is_file()}
    places["export"] = stack.project.pulumi("stack", "export").text
    return [place for place, text in places.items() if PASSWORD in text or stack.password() in text]


def test_script_gets_what_it_wants_and_nobody_sees_the_passwords(stack: Stack, application: LabHost) -> None:
    outcome = configure(stack)
    assert outcome.code == 0, outcome.text
    assert application.run(f"cat {FOLDER}/arguments").stdout.splitlines() == [
        *("-m", "localhost", "-po", "30379", "-ic", CONNECTIONS["url"], "-ic_u", CONNECTIONS["user"]),
        *("-ic_p", PASSWORD, "-pw", stack.password()),
    ]
    assert application.run(f"cat {FOLDER}/stdin").stdout == ""
    assert SCRIPT in application.run(f"cat {FOLDER}/processes").stdout, "it did look"
    assert leaks(stack, application, outcome.text) == []


def test_it_runs_once_and_again_only_for_a_change(stack: Stack, application: LabHost) -> None:
    configure(stack)
    assert runs(application) == 1
    assert configure(stack).unchanged
    assert runs(application) == 1
    configure(stack, user="another")
    assert runs(application) == 2


def test_its_failure_is_clear_and_shows_no_password(stack: Stack, application: LabHost) -> None:
    complaint = 'echo "cannot log in to $6 as $8 with ${10} or ${12}" >&2; exit 3\n'
    application.run(f"cat >>{SCRIPT}", stdin=complaint)
    outcome = configure(stack)
    assert outcome.code != 0
    assert "cannot log in to https://connections.example.com as wasadmin with [secret] or [secret]" in outcome.text
    assert f"{SCRIPT} failed with exit code 3" in outcome.text
    assert leaks(stack, application, outcome.text) == []
    application.run(f"cat >{SCRIPT}", stdin=RECORDER)
    again = configure(stack)
    assert again.code == 0, again.text
    assert runs(application) == 2


def test_missing_script(stack: Stack, application: LabHost) -> None:
    outcome = configure(stack, script=f"{FOLDER}/nothing.sh")
    assert outcome.code != 0
    assert f"{FOLDER}/nothing.sh: No such file or directory" in outcome.text


def test_endless_script_is_ended(stack: Stack, application: LabHost) -> None:
    application.run(f"cat >>{SCRIPT}", stdin="sleep 1000\n")
    outcome = configure(stack, timeout=2)
    assert f"{SCRIPT} was ended: it took longer than 2 s" in outcome.text
    left = application.run(["pgrep", "--full", "--list-full", "sleep 100[0]"], check=False)
    assert left.stdout == "", "nothing of it goes on"
