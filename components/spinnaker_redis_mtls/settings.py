"""Settings of Spinnaker's services that speak mutual TLS with Redis, and what cannot work, told beforehand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from components.certificates import CertificateSettings
from components.certificates.key_stores import certificates
from components.names import account_name, bracketed
from components.settings import DirectoryPath, HostName, Port, Problem, Settings, Some, refuse

#: Authorities of the public web: Mozilla's, and none.
MOZILLA: Final = "mozilla"
NONE: Final = "none"

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST: Final = 41  # characters of a name that a volume's name begins with, of which 63 are allowed
_URL: Final = re.compile(r"rediss://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):(\d{1,5})(/\d+)?")
# Where images keep what others than these services trust, their Java, their configuration and what they write.
_TAKEN: Final = (
    "/etc/ssl",
    "/etc/pki",
    "/etc/java",
    "/usr",
    "/opt/java",
    "/opt/spinnaker",
    "/bin",
    "/lib",
    "/sbin",
    "/proc",
    "/sys",
    "/dev",
)
_PARENTS: Final = ("/tmp", "/var", "/run", "/home", "/root")  # noqa: S108 - none of it is written to

_NO_CERTIFICATE: Final = (
    "is written in Go and shows no certificate: list it in `separate`, with a Redis that asks for none"
)
_CANNOT: Final[Mapping[object, str]] = {
    "dinghy": _NO_CERTIFICATE,
    "terraformer": _NO_CERTIFICATE,
    "front50": "speaks plaintext with its Redis (spinnaker.redis.host, no TLS): let it keep its data elsewhere",
    "deck": "does not use Redis: remove it",
}


def _object_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot name an object of Kubernetes: use up to 63 lower-case letters, digits and '-'"
        )
    return name


def _service_name(name: str) -> str:
    if len(name) > _LONGEST:
        raise ValueError(f"{name!r} is too long for the names of Secrets and volumes: use up to {_LONGEST} characters")
    return _object_name(name)


def _rediss(url: str) -> str:
    if not _URL.fullmatch(url):
        # It may hold a password: nothing of it is shown.
        raise ValueError("this is no address of a Redis under TLS: write rediss://HOST:PORT, without a user")
    return url


def _mount_path(path: str) -> str:
    below = any(f"{path}/".startswith(f"{taken}/") for taken in _TAKEN)
    if below or path in _PARENTS or any(taken.startswith(f"{path}/") for taken in _TAKEN):
        fix = "it would hide what the image has there, such as the authorities that it trusts: use a folder of its own"
        raise ValueError(f"{path!r}: {fix}")
    return path


def _authorities(text: str) -> str:
    try:
        certificates(text)
    except ValueError:
        raise ValueError("holds no certificate in PEM: give one or more, from BEGIN to END") from None
    return text


def _public(source: str) -> str:
    if source not in (MOZILLA, NONE):
        try:
            _authorities(Path(source).read_text())
        except (OSError, ValueError):
            fix = f"use {MOZILLA!r}, {NONE!r}, or the path of a file of certificates in PEM"
            raise ValueError(f"{source!r} cannot be read: {fix}") from None
    return source


def _takes_part(name: object) -> object:
    if name in _CANNOT:
        raise ValueError(f"{name!r} {_CANNOT[name]}")
    return name


ObjectName = Annotated[str, AfterValidator(_object_name)]
ServiceName = Annotated[str, AfterValidator(_service_name)]
PublicAuthorities = Annotated[str, AfterValidator(_public)]
Rediss = Annotated[str, AfterValidator(_rediss)]
MountPath = Annotated[DirectoryPath, AfterValidator(_mount_path)]
Authorities = Annotated[str, AfterValidator(_authorities)]
#: Configuration of Spinnaker as its own documentation writes it.
Free = Mapping[str, Any]


class JavaService(StrEnum):
    """Services that read `redis.connection`, and can show a certificate (Spring, Jedis)."""

    CLOUDDRIVER = "clouddriver"
    ECHO = "echo"
    FIAT = "fiat"
    GATE = "gate"
    IGOR = "igor"
    KAYENTA = "kayenta"
    ORCA = "orca"
    ROSCO = "rosco"


#: Services that may keep their data in SQL.
IN_SQL: Final = frozenset({JavaService.CLOUDDRIVER, JavaService.FIAT, JavaService.ORCA})


class GoService(StrEnum):
    """Services that speak TLS, but show no certificate; they read `redis.baseUrl`."""

    DINGHY = "dinghy"
    TERRAFORMER = "terraformer"


class JvmOptions(StrEnum):
    """How Java is told of the stores."""

    FILE = "file"
    ENVIRONMENT = "environment"


class ApiGroup(StrEnum):
    """Whose operator reads the SpinnakerService."""

    SPINNAKER = "spinnaker.io"
    ARMORY = "spinnaker.armory.io"


class EndpointSettings(Settings):
    """Where the services find Redis.

    Attributes:
        host: DNS name or address, as in the server's certificate.
        port: TLS port, default 6379; it is always written out.
        group: Name of the group of the stack's `redis` that it is; default none: it is elsewhere.
        balanced: Whether at `host` and `port` a load balancer leads to the group's primary and follows it, default
            false. A group under Sentinel needs one.
        password: Password of its user `default` (secret); default: the group's, or none.
    """

    host: HostName
    port: Port = 6379
    group: str | None = None
    balanced: bool = False
    password: SecretStr | None = None

    @property
    def url(self) -> str:
        """Address with its scheme, without user and password."""
        return f"rediss://{bracketed(self.host)}:{self.port}"


class SeparateSettings(Settings):
    """A service that does not take part, and what it uses instead.

    Attributes:
        service: A Java service whose JVM must not show this certificate, such as one that keeps its data in SQL (its
            database would be shown it too), or a Go service, which cannot show one.
        redis: `rediss://HOST:PORT` that asks for no certificate; default none: its own profile says that it uses none.
    """

    service: JavaService | GoService
    redis: Rediss | None = None


class OperatorSettings(Settings):
    """A SpinnakerService, for the operator.

    Attributes:
        api_group: `spinnaker.io` (default) or `spinnaker.armory.io`.
        patch: Whether only these parts of an existing SpinnakerService are set, default true; false: it is made.
        config: `spec.spinnakerConfig.config` of one that is made.
        spec: Further keys of its `spec`.
    """

    api_group: ApiGroup = ApiGroup.SPINNAKER
    patch: bool = True
    config: Free = Field(default_factory=dict)
    spec: Free = Field(default_factory=dict)


class HalyardSettings(Settings):
    """Halyard's files on a host.

    Attributes:
        host: Host of the stack on which Halyard runs.
        deployment: Folder of the deployment, default `/home/spinnaker/.hal/default`.
        user: Account that owns them, default `spinnaker`.
    """

    host: str
    deployment: DirectoryPath = "/home/spinnaker/.hal/default"
    user: Annotated[str, AfterValidator(account_name)] = "spinnaker"


class SpinnakerRedisSettings(Settings):
    """Spinnaker's services as mutual TLS clients of Redis.

    Attributes:
        name: Name of the SpinnakerService, and beginning of the Secrets' names; default `spinnaker`.
        namespace: Where the services run, default `spinnaker`.
        redis: Where Redis is.
        services: Java services that take part; default gate, igor and rosco. Clouddriver, fiat and orca may keep their
            data in SQL, as profiles elsewhere say: list them where they do not.
        everywhere: Whether Redis moves for all services, by the service settings of `redis` (default); false: for
            `services` alone, by their profiles.
        separate: Services that do not take part.
        profiles: Your own profiles by service; what is made here is laid over them.
        service_settings: Your own service settings by service, the same.
        jvm_options: `file` (default): Java reads a file of options from the Secret, and Halyard's heap option stays.
            `environment`: JAVA_OPTS, where whoever reads the pod reads the store's password.
        mount_path: Folder of the stores in the services' containers, default `/opt/redis-mtls`.
        public_authorities: Authorities of the public web that the services go on trusting: `mozilla` (default, of the
            package certifi), `none`, or the path of a file of them in PEM, such as the one of the services' image.
        also_trusted: Further authorities in PEM, such as your company's.
        certificates: Kind of key, validity and renewal of the services' certificate.
        operator: A SpinnakerService; default none.
        halyard: Halyard's files on a host; default none.
    """

    name: ServiceName = "spinnaker"
    namespace: ObjectName = "spinnaker"
    redis: EndpointSettings
    services: Some[Annotated[JavaService, BeforeValidator(_takes_part)]] = (
        JavaService.GATE,
        JavaService.IGOR,
        JavaService.ROSCO,
    )
    everywhere: bool = True
    separate: tuple[SeparateSettings, ...] = ()
    profiles: Mapping[str, Free] = Field(default_factory=dict)
    service_settings: Mapping[str, Free] = Field(default_factory=dict)
    jvm_options: JvmOptions = JvmOptions.FILE
    mount_path: MountPath = "/opt/redis-mtls"
    public_authorities: PublicAuthorities = MOZILLA
    also_trusted: tuple[Authorities, ...] = ()
    certificates: CertificateSettings = CertificateSettings()
    operator: OperatorSettings | None = None
    halyard: HalyardSettings | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> SpinnakerRedisSettings:
        refuse([*self._redis(), *self._services(), *self._separate(), *self._own(), *self._outputs()])
        return self

    def _redis(self) -> Iterator[Problem]:
        if self.redis.group is not None and self.redis.password is not None:
            yield ("redis", "password"), f"group {self.redis.group!r} has one for its user 'default': remove it here"
        if self.redis.group is None and self.redis.balanced:
            yield ("redis", "balanced"), "nobody reads it without a group of the stack: remove it"

    def _services(self) -> Iterator[Problem]:
        for at, service in enumerate(self.services):
            if service in self.services[:at]:
                yield ("services", at), f"{service.value!r} is listed twice: remove one"
            if setting(self.profiles.get(service.value, {}), "sql.enabled") is True:
                fix = "its database would be shown Redis' certificate, and refuse it: list the service in `separate`"
                yield ("services", at), f"{service.value!r} keeps its data in SQL (profiles.{service.value}.sql): {fix}"

    def _separate(self) -> Iterator[Problem]:
        names = [each.service for each in self.separate]
        for at, each in enumerate(self.separate):
            if each.service in names[:at]:
                yield ("separate", at, "service"), f"{each.service.value!r} is listed twice: remove one"
            if each.service in self.services:
                fix = "a JVM shows its certificate on every connection or on none"
                yield ("separate", at, "service"), f"{each.service.value!r} is in `services` too: {fix}: remove one"
            if isinstance(each.service, GoService) and each.redis is None:
                fix = "give the address of a Redis under TLS that asks for no certificate"
                yield ("separate", at, "redis"), f"is missing: {each.service.value} cannot do without Redis: {fix}"
            if each.redis is not None and f"{each.redis}/".startswith(f"{self.redis.url}/"):
                fix = "this one asks for a certificate, which the service does not show: use another one"
                yield ("separate", at, "redis"), f"{each.redis!r}: {fix}"

    def _own(self) -> Iterator[Problem]:
        for service in self.services:
            own = self.service_settings.get(service.value, {})
            if self.jvm_options is JvmOptions.FILE and setting(own, "env.JDK_JAVA_OPTIONS") is not None:
                fix = "put its options into JAVA_OPTS, which stays yours"
                yield ("serviceSettings", service.value, "env"), f"JDK_JAVA_OPTIONS names the stores' options: {fix}"

    def _outputs(self) -> Iterator[Problem]:
        if self.operator is None and self.halyard is None:
            yield ("operator",), "is missing, and so is halyard: say for whom the configuration is"


def setting(own: Free, path: str) -> Any:  # noqa: ANN401 - whatever the configuration holds
    """Return a value of free configuration, written as one dotted key, as nested keys or as both; None if not there."""
    if path in own:
        return own[path]
    first, _, rest = path.partition(".")
    inner = own.get(first)
    return setting(inner, rest) if rest and isinstance(inner, Mapping) else None
