"""Spinnaker: its own objects."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.policies.support import validate

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "spinnaker"
SPEC: Final = yaml.safe_load((GOLDEN / "operator" / "spec.yml").read_text())


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
