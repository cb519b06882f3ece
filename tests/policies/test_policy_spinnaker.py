"""Spinnaker: its own objects, and the files that Halyard reads."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from components.host import File, RoleSpec
from components.host.bundle import pack
from policies.rules import HostFiles, check_files
from tests.policies.support import remote, role, rules, validate

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "spinnaker"
SPEC: Final = yaml.safe_load((GOLDEN / "operator" / "spec.yml").read_text())
DEPLOYMENT: Final = "/home/spinnaker/.hal/default"


def of_object(spec: Mapping[str, Any]) -> set[str]:
    return validate("kubernetes:spinnaker.io/v1alpha2:SpinnakerServicePatch", {"spec": spec}).rules


def spinnaker(*path: str, value: Any) -> set[str]:
    spec = deepcopy(SPEC)
    here = spec["spinnakerConfig"]
    for step in path[:-1]:
        here = here.setdefault(step, {})
    here[path[-1]] = value
    return of_object(spec)


def test_what_the_component_writes_breaks_no_rule() -> None:
    assert of_object(SPEC) == set()


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("profiles gate redis baseUrl", "rediss://a:6379", "spinnaker-dead-key"),
        ("profiles gate redis.baseUrl", "rediss://a:6379", "spinnaker-dead-key"),
        ("profiles orca sql enabled", True, "spinnaker-sql"),
        ("profiles orca sql.enabled", True, "spinnaker-sql"),
        ("service-settings clouddriver env JAVA_OPTS", "-Djavax.net.ssl.keyStore=/a", "spinnaker-sql"),
        ("service-settings gate env JAVA_OPTS", "-Djavax.net.ssl.trustStorePassword=a", "password-in-variable"),
        ("service-settings redis overrideBaseUrl", "redis://redis.example.com:6379", "plaintext-url"),
        ("profiles dinghy redis baseUrl", "redis://redis.example.com:6379", "plaintext-url"),
    ],
)
def test_one_changed_key_does(path: str, value: Any, rule: str) -> None:
    assert spinnaker(*path.split(" "), value=value) == {rule}


def test_a_secret_over_the_authorities_of_a_service() -> None:
    volume = {"id": "internal-trust-store", "mountPath": "/etc/ssl/certs/java", "type": "secret"}
    assert spinnaker("service-settings", "gate", "kubernetes", "volumes", value=[volume]) == {"hidden-authorities"}
    assert (
        spinnaker("service-settings", "gate", "kubernetes", "volumes", value=[{**volume, "type": "emptyDir"}]) == set()
    )


# --- Halyard's files ---


def halyard(name: str = "operator") -> dict[str, str]:
    """What the component writes for Halyard, by path on the host."""
    folders = ("service-settings", "profiles")
    return {
        f"{DEPLOYMENT}/{folder}/{path.name}": path.read_text()
        for folder in folders
        for path in sorted((GOLDEN / name / folder).iterdir())
    }


def test_files_that_the_component_writes_break_no_rule() -> None:
    outcome = role(halyard())
    assert (outcome.violations, outcome.notes) == ([], [])


@pytest.mark.parametrize(
    ("path", "text", "rule", "place"),
    [
        ("profiles/gate-local.yml", "redis:\n  baseUrl: rediss://a:6379\n", "spinnaker-dead-key", "gate-local.yml:2"),
        ("profiles/gate-local.yml", "redis.baseUrl: rediss://a:6379\n", "spinnaker-dead-key", "gate-local.yml:1"),
        ("profiles/orca-local.yml", "sql:\n  enabled: true\n", "spinnaker-sql", "service-settings/orca.yml:"),
        (
            "profiles/orca-local.yml",
            "---\na: 1\n---\nsql.enabled: true\n",
            "spinnaker-sql",
            "service-settings/orca.yml:",
        ),
        ("profiles/dinghy-local.yml", "redis:\n  baseUrl: redis://a:6379\n", "plaintext-url", "dinghy-local.yml:2"),
        ("profiles/gate-local.yml", "a: [b\n", "unreadable", "gate-local.yml:2"),
        ("service-settings/redis.yml", "overrideBaseUrl: redis://a:6379\n", "plaintext-url", "redis.yml:1"),
        (
            "service-settings/gate.yml",
            "a: 1\nenv:\n  JAVA_OPTS: -Djavax.net.ssl.trustStorePassword=hunter2\n",
            "password-in-variable",
            "service-settings/gate.yml:3",
        ),
        ("service-settings/gate.yml", "env: { API_TOKEN: hunter2 }\n", "password-in-variable", "gate.yml:1"),
        (
            "service-settings/gate.yml",
            "kubernetes:\n  volumes:\n  - { id: a, mountPath: /etc/ssl/certs/java }\n",
            "hidden-authorities",
            "service-settings/gate.yml:3",
        ),
    ],
)
def test_one_changed_file_does(path: str, text: str, rule: str, place: str) -> None:
    files = {**halyard(), f"{DEPLOYMENT}/{path}": text}
    outcome = role(files)
    assert rule in outcome.rules
    assert outcome.rules <= {rule, "secret-in-file"}
    assert place in str(outcome.violations)
    assert "hunter2" not in str(outcome)
    assert rule in rules(check_files(HostFiles(texts=files))), "on hosts too"
    # Elsewhere it is somebody else's file.
    assert rule not in role({**halyard(), f"/opt/other/{path.replace('/', '-')}": text}).rules


def test_a_service_is_known_by_its_deployment() -> None:
    other = {"/home/spinnaker/.hal/other/profiles/orca-local.yml": "sql.enabled: true\n"}
    assert role({**halyard(), **other}).rules == set()


def test_options_in_a_secret_file_are_seen_where_they_are_sent() -> None:
    """`jvmOptions: environment`: Halyard makes a pod of it that shows them."""
    secrets = halyard("halyard")
    assert role({}, secretFiles=list(secrets)).rules == set(), "nothing is known of their text there"
    files = tuple(File(path=path, content=text, mode=0o600, secret=True) for path, text in secrets.items())
    outcome = remote(stdin=pack(RoleSpec(name="halyard", files=files), secrets, family="debian"))
    assert outcome.rules == {"password-in-variable"}
    assert "of-the-store" not in str(outcome)
    hidden = HostFiles(texts={}, secret=frozenset(secrets), hidden=secrets)
    assert rules(check_files(hidden)) == {"password-in-variable"}
