"""What is refused, and what is said then."""

from __future__ import annotations

from typing import Any, Final

import pytest

from components.settings import InvalidConfigurationError, load
from components.spinnaker_redis_mtls import SpinnakerRedisSettings

LEAST: Final[dict[str, Any]] = {"redis": {"host": "redis.example.com"}, "operator": {}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"operator": None}, "spinnaker.operator: is missing, and so is halyard: say for whom the configuration is"),
        ({"services": []}, "spinnaker.services: is empty: list at least one"),
        ({"services": ["gate", "gate"]}, "spinnaker.services[1]: 'gate' is listed twice: remove one"),
        ({"services": ["dinghy"]}, "spinnaker.services[0]: 'dinghy' is written in Go and shows no certificate"),
        (
            {"services": ["terraformer"]},
            "'terraformer' is written in Go and shows no certificate: list it in `separate`",
        ),
        ({"services": ["front50"]}, "spinnaker.services[0]: 'front50' speaks plaintext with its Redis"),
        ({"services": ["deck"]}, "spinnaker.services[0]: 'deck' does not use Redis: remove it"),
        (
            {"services": ["orca"], "profiles": {"orca": {"sql": {"enabled": True}}}},
            "spinnaker.services[0]: 'orca' keeps its data in SQL (profiles.orca.sql): its database would be shown",
        ),
        (
            {"services": ["orca"], "profiles": {"orca": {"sql.enabled": True}}},
            "spinnaker.services[0]: 'orca' keeps its data in SQL (profiles.orca.sql)",
        ),
        (
            {"services": ["gate"], "separate": [{"service": "gate"}]},
            "spinnaker.separate[0].service: 'gate' is in `services` too: a JVM shows its certificate on every",
        ),
        (
            {"separate": [{"service": "dinghy"}]},
            "spinnaker.separate[0].redis: is missing: dinghy cannot do without Redis: give the address",
        ),
        (
            {"separate": [{"service": "dinghy", "redis": "redis://user:hidden@a:6379"}]},
            "spinnaker.separate[0].redis: this is no address of a Redis under TLS: write rediss://HOST:PORT",
        ),
        (
            {"separate": [{"service": "dinghy", "redis": "rediss://redis.example.com:6379/1"}]},
            "this one asks for a certificate, which the service does not show: use another one",
        ),
        (
            {"mountPath": "/etc/ssl/certs/java"},
            "spinnaker.mountPath: '/etc/ssl/certs/java': it would hide what the image",
        ),
        ({"mountPath": "/etc"}, "spinnaker.mountPath: '/etc': it would hide what the image has there"),
        ({"mountPath": "/tmp"}, "spinnaker.mountPath: '/tmp': it would hide what the image has there"),
        ({"name": "a" * 42}, "is too long for the names of Secrets and volumes: use up to 41 characters"),
        (
            {"publicAuthorities": "debian"},
            "spinnaker.publicAuthorities: 'debian' cannot be read: use 'mozilla', 'none', or the path of a file",
        ),
        (
            {"redis": {"host": "a", "group": "ci", "password": "hidden"}},
            "spinnaker.redis.password: group 'ci' has one for its user 'default': remove it here",
        ),
        (
            {"redis": {"host": "a", "balanced": True}},
            "spinnaker.redis.balanced: nobody reads it without a group of the stack: remove it",
        ),
        ({"alsoTrusted": ["-----BEGIN"]}, "spinnaker.alsoTrusted[0]: holds no certificate in PEM"),
        ({"name": "Spinnaker"}, "spinnaker.name: 'Spinnaker' cannot name an object of Kubernetes"),
        (
            {"serviceSettings": {"gate": {"env": {"JDK_JAVA_OPTIONS": "-Xmx1g"}}}},
            "spinnaker.serviceSettings.gate.env: JDK_JAVA_OPTIONS names the stores' options: put its",
        ),
    ],
)
def test_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidConfigurationError) as refused:
        load(SpinnakerRedisSettings, {**LEAST, **changes}, "spinnaker")
    assert message in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_a_redis_whose_name_begins_alike_is_another_one() -> None:
    separate = [{"service": "dinghy", "redis": "rediss://redis.example.com:63790"}]
    assert load(SpinnakerRedisSettings, {**LEAST, "separate": separate}, "spinnaker").separate


def test_who_takes_part_unless_told() -> None:
    names = [each.value for each in load(SpinnakerRedisSettings, LEAST, "spinnaker").services]
    assert names == ["gate", "igor", "rosco"]
