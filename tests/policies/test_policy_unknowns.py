"""Values that are not known in a preview: told, and no reason to skip what is known beside them."""

from __future__ import annotations

import pytest

from tests.policies.support import (
    COMMAND,
    HAPROXY,
    PINS,
    PINS_TEXT,
    REMOTE,
    ROLE,
    SSH,
    SSH_TEXT,
    UNKNOWN,
    remote,
    role,
    validate,
)

WIDE = "frontend f\n    bind *:80\n"


def test_known_files_are_checked_beside_unknown_ones() -> None:
    outcome = role({"/etc/a": UNKNOWN, HAPROXY: WIDE, "/etc/b": UNKNOWN})
    assert outcome.rules == {"haproxy-bind"}
    assert outcome.notes == [
        "lb1-role: not yet checkable: files./etc/a, files./etc/b: checked as soon as known.",
    ]


def test_an_unknown_file_counts_as_part_of_the_role() -> None:
    assert role({SSH: SSH_TEXT, PINS: UNKNOWN}).notes == [
        f"lb1-role: not yet checkable: files.{PINS}: checked as soon as known."
    ]
    assert role({SSH: SSH_TEXT, PINS: PINS_TEXT}).notes == []


@pytest.mark.parametrize("group", ["files", "checks", "validations", "modes", "users", "secretFiles"])
def test_a_whole_input_of_a_role(group: str) -> None:
    outcome = validate(ROLE, {"files": {HAPROXY: WIDE}, group: UNKNOWN})
    assert outcome.rules == (set() if group == "files" else {"haproxy-bind"})
    assert outcome.notes == [f"lb1-role: not yet checkable: {group}: checked as soon as known."]


@pytest.mark.parametrize("place", ["create", "update", "delete", "logging", "addPreviousOutputInEnv", "connection"])
def test_an_input_of_a_command(place: str) -> None:
    outcome = remote(**{place: UNKNOWN})
    assert outcome.violations == []
    assert outcome.notes == [f"lb1-role: not yet checkable: {place}: checked as soon as known."]


def test_an_unknown_host_key_is_neither_pinned_nor_missing() -> None:
    hop = {"host": UNKNOWN, "hostKey": UNKNOWN}
    connection = {**COMMAND["connection"], "hostKey": UNKNOWN, "proxy": hop}
    outcome = remote(connection=connection)
    assert outcome.violations == []
    assert "connection.hostKey, connection.proxy.hostKey" in outcome.notes[0]
    assert remote(connection={**connection, "proxy": {"host": UNKNOWN}}).rules == {"host-key"}


def test_unknown_secrets_cannot_stand_in_known_text() -> None:
    """A text that held them would be unknown itself, so that there is nothing to tell."""
    connection = {**COMMAND["connection"], "privateKey": UNKNOWN, "password": UNKNOWN}
    outcome = remote(connection=connection, stdin=UNKNOWN)
    assert (outcome.violations, outcome.notes) == ([], [])


def test_unknown_variables() -> None:
    outcome = remote(environment={"A": UNKNOWN, "DB_PASSWORD": "hunter2-hunter2"})
    assert outcome.rules == {"secret-in-environment"}
    assert "environment.A" in outcome.notes[0]


def test_a_state_without_its_passphrase() -> None:
    """`pulumi policy analyze --file` puts `[secret]` where it cannot decrypt."""
    outcome = validate(REMOTE, {**COMMAND, "connection": "[secret]", "stdin": "[secret]"})
    assert outcome.violations == []
    assert outcome.notes == ["lb1-role: not yet checkable: connection: checked as soon as known."]
    assert role({HAPROXY: "[secret]"}).notes != []


@pytest.mark.parametrize("inputs", [{}, {"files": None}, {"files": ["x"]}, {"files": {"/x": 1.0}}, {"users": [["x"]]}])
def test_inputs_of_another_shape_do_no_harm(inputs: dict[str, object]) -> None:
    assert validate("sealed-data-tier:host:Role", inputs).violations == []
