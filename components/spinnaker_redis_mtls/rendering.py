"""What Spinnaker's services are told: settings in, configuration out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

import certifi
import yaml

from components.spinnaker_redis_mtls.settings import (
    IN_SQL,
    MOZILLA,
    NONE,
    GoService,
    JavaService,
    JvmOptions,
    SpinnakerRedisSettings,
    setting,
)

KEY_STORE: Final = "key-store.p12"
TRUST_STORE: Final = "trust-store.p12"
OPTIONS: Final = "jvm-options"
ALIAS: Final = "redis-client"
VERSION: Final = "v1alpha2"
KIND: Final = "SpinnakerService"
#: Where Halyard looks for service settings, and for profiles.
HALYARD_FOLDERS: Final = ("service-settings", "profiles")
# What Halyard tells every JVM unless JAVA_OPTS is given (KubernetesV2Service, buildServiceSettings).
_HALYARD_OPTIONS: Final = "-XX:MaxRAMPercentage=50.0"

Document = dict[str, Any]


def secret_name(settings: SpinnakerRedisSettings, files: Mapping[str, bytes]) -> str:
    """Return the name of the Secret: another one whenever something in it is.

    Args:
        settings: Whose Secret it is.
        files: What it holds.
    """
    whole = hashlib.sha256()
    for path, content in sorted(files.items()):
        whole.update(f"{path}:{len(content)}:".encode() + content)
    return f"{settings.name}-redis-mtls-{whole.hexdigest()[:10]}"


def authorities(settings: SpinnakerRedisSettings, redis: str) -> tuple[str, ...]:
    """Return all authorities that the services trust, in PEM.

    Args:
        settings: Which ones beside Redis'.
        redis: Redis' own.
    """
    source = certifi.where() if settings.public_authorities == MOZILLA else settings.public_authorities
    public = () if source == NONE else (Path(source).read_text(),)
    return (redis, *settings.also_trusted, *public)


def jvm_options(settings: SpinnakerRedisSettings, store_password: str, redis_password: str | None = None) -> list[str]:
    """Return what Java is told (secret).

    Args:
        settings: Where the stores are.
        store_password: Password of the key store.
        redis_password: Password of Redis' default user, or None: Spinnaker's clients send no user name.
    """
    folder, options = settings.mount_path, dict[str, str]()
    options["javax.net.ssl.keyStore"] = f"{folder}/{KEY_STORE}"
    options["javax.net.ssl.keyStoreType"] = "PKCS12"
    options["javax.net.ssl.keyStorePassword"] = store_password
    options["javax.net.ssl.trustStore"] = f"{folder}/{TRUST_STORE}"
    options["javax.net.ssl.trustStoreType"] = "PKCS12"
    if redis_password is not None:
        # The services take it for a URI (java.net.URI); and neither Java's option files nor a shell read it otherwise.
        options["redis.connection"] = settings.redis.url.replace("//", f"//:{quote(redis_password, safe='')}@", 1)
    return [f"-D{name}={value}" for name, value in options.items()]


def service_settings(settings: SpinnakerRedisSettings, secret: str, options: Sequence[str]) -> dict[str, Document]:
    """Return the service settings by service, with your own ones below them.

    Args:
        settings: Who takes part.
        secret: Name of the Secret.
        options: What Java is told, for `jvmOptions: environment`.
    """
    made: dict[str, Document] = {}
    if settings.everywhere:
        made["redis"] = {"overrideBaseUrl": settings.redis.url, "skipLifeCycleManagement": True}
    for service in settings.services:
        own = settings.service_settings.get(service.value, {})
        volumes = [*(setting(own, "kubernetes.volumes") or ()), _volume(settings, secret)]
        made[service.value] = {"kubernetes": {"volumes": volumes}, "env": _environment(settings, own, options)}
    return _laid_over(settings.service_settings, made)


def _volume(settings: SpinnakerRedisSettings, secret: str) -> Document:
    return {"id": secret, "mountPath": settings.mount_path, "type": "secret"}


def _environment(settings: SpinnakerRedisSettings, own: Mapping[str, Any], options: Sequence[str]) -> Document:
    if settings.jvm_options is JvmOptions.FILE:
        # The launcher itself reads it (java(1), JDK_JAVA_OPTIONS): no password in the environment or the arguments.
        return {"JDK_JAVA_OPTIONS": f"@{settings.mount_path}/{OPTIONS}"}
    return {"JAVA_OPTS": " ".join([str(setting(own, "env.JAVA_OPTS") or _HALYARD_OPTIONS), *options])}


def profiles(settings: SpinnakerRedisSettings) -> dict[str, Document]:
    """Return the profiles by service, with your own ones below them."""
    made: dict[str, Document] = {}
    if not settings.everywhere:
        made = {service.value: {"redis": {"connection": settings.redis.url}} for service in settings.services}
    for each in settings.separate:
        if each.redis is not None:
            key = "baseUrl" if isinstance(each.service, GoService) else "connection"
            made[each.service.value] = {"redis": {key: each.redis}}
    if JavaService.GATE in settings.services:
        # It is about CONFIG, not about TLS: Gate does not set notify-keyspace-events then (Gate, RedisActionConfig).
        made["gate"] = merged(made.get("gate", {}), {"redis": {"configuration": {"secure": True}}})
    return _laid_over(settings.profiles, made)


def dead_keys(settings: SpinnakerRedisSettings) -> list[str]:
    """Return property paths of your own profiles that no Java service reads."""
    return [
        f"profiles.{service}.redis.baseUrl"
        for service, own in settings.profiles.items()
        if service in set(JavaService) and setting(own, "redis.baseUrl") is not None
    ]


def perhaps_in_sql(settings: SpinnakerRedisSettings) -> list[tuple[str, str]]:
    """Return property path and name of services that may keep their data in SQL, by configuration that is elsewhere."""
    return [
        (f"services[{at}]", service.value)
        for at, service in enumerate(settings.services)
        if service in IN_SQL and setting(settings.profiles.get(service.value, {}), "sql.enabled") is None
    ]


def spec(settings: SpinnakerRedisSettings, secret: str, options: Sequence[str]) -> Document:
    """Return the `spec` of the SpinnakerService."""
    operator = settings.operator
    made = {
        "service-settings": service_settings(settings, secret, options),
        "profiles": profiles(settings),
    }
    if operator is None:
        return {"spinnakerConfig": made}
    if operator.config:
        made["config"] = dict(operator.config)
    return merged(operator.spec, {"spinnakerConfig": made})


def halyard_files(settings: SpinnakerRedisSettings, secret: str, options: Sequence[str]) -> dict[str, str]:
    """Return Halyard's files by their path below the deployment's folder."""
    folder, other = HALYARD_FOLDERS
    files = {f"{folder}/{name}.yml": each for name, each in service_settings(settings, secret, options).items()}
    files |= {f"{other}/{name}-local.yml": each for name, each in profiles(settings).items()}
    return {path: yaml.safe_dump(each, sort_keys=False) for path, each in files.items()}


def halyard_paths(settings: SpinnakerRedisSettings) -> list[str]:
    """Return the paths of these files, which do not depend on the Secret."""
    return list(halyard_files(settings, "", []))


def _laid_over(own: Mapping[str, Mapping[str, Any]], made: Mapping[str, Mapping[str, Any]]) -> dict[str, Document]:
    return {name: merged(own.get(name, {}), made.get(name, {})) for name in dict.fromkeys((*made, *own))}


def merged(own: Mapping[str, Any], over: Mapping[str, Any]) -> Document:
    """Lay nested configuration over another one."""
    whole = dict(own)
    for key, value in over.items():
        below = whole.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        whole[key] = merged(cast("Mapping[str, Any]", below), value) if both else value
    return whole
