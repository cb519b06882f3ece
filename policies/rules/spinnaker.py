"""Spinnaker's own objects: which services show Redis a certificate, and keys that no service reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from policies.parsers.kubernetes import items, part, texts
from policies.rules.finding import Finding, KubernetesObject
from policies.rules.kubernetes import hidden_authorities, password_in_variable

RULES: Final = {
    "spinnaker-sql": "a service that keeps its data in SQL has no key store for Redis",
    "spinnaker-dead-key": "no `redis.baseUrl` where `redis.connection` is read",
}
_KIND: Final = "SpinnakerService"
_GO: Final = frozenset({"dinghy", "terraformer"})
_STORE: Final = "javax.net.ssl.keyStore"
_OPTION_FILES: Final = ("JDK_JAVA_OPTIONS", "@")


def check(thing: KubernetesObject) -> Iterator[Finding]:
    """Find what a SpinnakerService shows, and what does not work in it."""
    if thing.kind != _KIND:
        return
    configuration = part(thing.inputs, "spec", "spinnakerConfig")
    profiles, settings = part(configuration, "profiles"), part(configuration, "service-settings")
    for service in dict.fromkeys((*settings, *profiles)):
        yield from _shown(f"service-settings.{service}", part(settings, service))
        yield from _does_nothing(service, part(profiles, service))
        yield from _serves_sql(service, part(settings, service), part(profiles, service))


def _shown(where: str, settings: Mapping[str, Any]) -> Iterator[Finding]:
    for name, value in texts(part(settings, "env")).items():
        yield from password_in_variable(f"{where}.env.{name}", name, value)
    for volume in items(part(settings, "kubernetes"), "volumes"):
        if volume.get("type", "secret") == "secret":
            yield from hidden_authorities(f"{where}.kubernetes.volumes", str(volume.get("mountPath", "")))


def _does_nothing(service: str, profile: Mapping[str, Any]) -> Iterator[Finding]:
    if service not in _GO and _value(profile, "redis.baseUrl") is not None:
        yield Finding(
            rule="spinnaker-dead-key",
            path=f"profiles.{service}",
            value="redis.baseUrl",
            problem=f"{service} does not read it, and goes on with the Redis that it had",
            fix="write redis.connection",
        )


def _serves_sql(service: str, settings: Mapping[str, Any], profile: Mapping[str, Any]) -> Iterator[Finding]:
    if _value(profile, "sql.enabled") is not True:
        return
    variables = texts(part(settings, "env"))
    name, mark = _OPTION_FILES
    if any(_STORE in each for each in variables.values()) or variables.get(name, "").startswith(mark):
        yield Finding(
            rule="spinnaker-sql",
            path=f"service-settings.{service}.env",
            value="a key store",
            problem="its JVM shows the certificate to its database too, which refuses it: the service does not start",
            fix="leave the key store out, and give the service a Redis that asks for no certificate",
        )


def _value(profile: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - whatever a profile holds
    """Return a value that is written as one dotted key, as nested keys or as both; None where there is none."""
    if path in profile:
        return profile[path]
    first, _, rest = path.partition(".")
    inner = profile.get(first)
    return _value(inner, rest) if rest and isinstance(inner, Mapping) else None
