"""Spinnaker's services as mutual TLS clients of Redis, as a resource."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import pulumi
import pulumi_kubernetes as kubernetes

from components.certificates import Certificate, CertificateArgs, Usage
from components.certificates.key_stores import key_store, trust_store
from components.host import Directory, File, Host, Role, RoleSpec
from components.inputs import secret
from components.kubernetes_cluster import KubernetesCluster
from components.passwords import Passwords, PasswordSettings
from components.spinnaker_redis_mtls import rendering
from components.spinnaker_redis_mtls.arguments import SpinnakerRedisMtlsArgs
from components.spinnaker_redis_mtls.settings import (
    HalyardSettings,
    JvmOptions,
    OperatorSettings,
    SpinnakerRedisSettings,
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class _Stores:
    """What the services' certificate comes to (secret).

    Attributes:
        secret_name: Name of the Secret.
        options: What Java is told.
        files: The Secret's files.
    """

    secret_name: str
    options: list[str]
    files: dict[str, bytes]


class SpinnakerRedisMtls(pulumi.ComponentResource):
    """The services' certificate, its stores in a Secret, and the configuration of Spinnaker that uses them.

    The Secret cannot be changed and is named by its content: as long as the certificate stays nothing changes, and a
    new one brings a new name, so that the services' pods are replaced one after the other. The former Secret stays, so
    that pods which name it still can start; all of them go with the component.

    Attributes:
        secret_name: Name of the Secret.
        service_settings: Service settings by service.
        profiles: Profiles by service.
        halyard_files: Halyard's files by their path below the deployment's folder.
        client_certificate: The services' certificate in PEM.
        client_key: Its key in PEM (secret).
    """

    secret_name: pulumi.Output[str]
    service_settings: pulumi.Output[dict[str, Any]]
    profiles: dict[str, Any]
    halyard_files: pulumi.Output[dict[str, str]]
    client_certificate: pulumi.Output[str]
    client_key: pulumi.Output[str]

    def __init__(self, name: str, args: SpinnakerRedisMtlsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        self._settings = settings = args.settings
        # Your own configuration may hold anything, passwords too.
        own = ("profiles", "service_settings", "also_trusted", "operator")
        hidden: dict[str, Any] = {**dict.fromkeys(own, True), "redis": {"password"}}
        inputs = {"settings": settings.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=hidden)}
        super().__init__("sealed-data-tier:spinnaker_redis_mtls:SpinnakerRedisMtls", name, inputs, opts)
        for path in rendering.dead_keys(settings):
            pulumi.log.warn(f"{args.path(path)}: no Java service reads it; they read redis.connection", self)
        for path, service in rendering.perhaps_in_sql(settings):
            told = f"{service} may keep its data in SQL, and its database would be shown Redis' certificate"
            fix = f"list it in `separate` if it does, and say profiles.{service}.sql.enabled: false if not"
            pulumi.log.warn(f"{args.path(path)}: {told}: {fix}", self)
        here = pulumi.ResourceOptions(parent=self)
        cluster = args.cluster or KubernetesCluster(f"{name}-kubernetes", opts=here)
        self._redis_password = "" if args.password is None else secret(args.password)
        certificate = self._certificate(name, args, here)
        self.client_certificate, self.client_key = certificate.certificate, certificate.private_key
        self._stores = self._written(name, args, here)
        self.secret_name = pulumi.Output.unsecret(self._stores.apply(lambda stores: stores.secret_name))
        self.service_settings = self._shown(rendering.service_settings)
        self.profiles = rendering.profiles(settings)
        self.halyard_files = self._shown(rendering.halyard_files)
        mounted = self._secret(name, cluster)
        # First the Secret, then whoever mounts it; on the way back the other way round.
        after = pulumi.ResourceOptions(parent=self, depends_on=[mounted, *args.after])
        if settings.operator is not None:
            there = pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(provider=cluster.provider))
            self._for_operator(name, settings.operator, there)
        if settings.halyard is not None:
            self._for_halyard(name, args.hosts[settings.halyard.host], settings.halyard, after)
        # With these somebody else can try what the services do, and `make verify` does.
        client = {
            "certificate": self.client_certificate,
            "key": self.client_key,
            "trusted": args.authority.trusted,
            "password": self._redis_password,
        }
        self.outputs = {"secretName": self.secret_name, "client": client}
        self.register_outputs(self.outputs)

    def _certificate(self, name: str, args: SpinnakerRedisMtlsArgs, here: pulumi.ResourceOptions) -> Certificate:
        return Certificate(
            f"{name}-client",
            CertificateArgs(
                authority=args.authority,
                common_name=f"{args.settings.name} spinnaker",
                usage=Usage.CLIENT,
                settings=args.settings.certificates,
            ),
            here,
        )

    def _written(self, name: str, args: SpinnakerRedisMtlsArgs, here: pulumi.ResourceOptions) -> pulumi.Output[_Stores]:
        settings = args.settings
        password = Passwords(f"{name}-password", PasswordSettings(), here).current("key-store")

        def write(known: list[str]) -> _Stores:
            certificate_pem, key_pem, store_password, trusted, sent = known
            options = rendering.jvm_options(settings, store_password, sent or None)
            files = {
                rendering.KEY_STORE: key_store(certificate_pem, key_pem, store_password, alias=rendering.ALIAS),
                rendering.TRUST_STORE: trust_store(rendering.authorities(settings, trusted)),
                rendering.OPTIONS: "".join(f"{option}\n" for option in options).encode(),
            }
            return _Stores(rendering.secret_name(settings, files), options, files)

        return pulumi.Output.all(
            self.client_certificate, self.client_key, password, args.authority.trusted, self._redis_password
        ).apply(write)

    def _secret(self, name: str, cluster: KubernetesCluster) -> kubernetes.core.v1.Secret:
        """The stores' Secret. Who else names it is not known here: it goes when its owner does, and not before."""
        settings, there = self._settings, pulumi.ResourceOptions(parent=self, provider=cluster.provider)
        owner_name = f"{settings.name}-redis-mtls"
        # Nothing in it may ever change but what describes it: who replaces it takes the Secrets away.
        owner = kubernetes.core.v1.ConfigMap(
            f"{name}-owner",
            metadata={
                "name": owner_name,
                "namespace": settings.namespace,
                "annotations": {
                    "kubernetes.io/description": "Owns this Spinnaker's Secrets for Redis, which go with it."
                },
            },
            opts=there,
        )
        reference = kubernetes.meta.v1.OwnerReferenceArgs(
            api_version="v1",
            kind="ConfigMap",
            name=owner_name,
            uid=owner.metadata.apply(lambda metadata: metadata.uid or ""),
        )
        return kubernetes.core.v1.Secret(
            f"{name}-stores",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name=self.secret_name,
                namespace=settings.namespace,
                labels={"app.kubernetes.io/instance": settings.name, "app.kubernetes.io/component": "redis-mtls"},
                owner_references=[reference],
            ),
            immutable=True,
            data=self._stores.apply(lambda stores: {path: _encoded(each) for path, each in stores.files.items()}),
            opts=pulumi.ResourceOptions(parent=self, provider=cluster.keeper, retain_on_delete=True),
        )

    def _shown(self, render: Callable[[SpinnakerRedisSettings, str, list[str]], Result]) -> pulumi.Output[Result]:
        """Render what names the Secret; it is secret itself only where Java's options stand in it."""
        rendered = self._stores.apply(lambda stores: render(self._settings, stores.secret_name, stores.options))
        if self._settings.jvm_options is JvmOptions.ENVIRONMENT:
            return rendered
        return pulumi.Output.unsecret(rendered)

    def _for_operator(self, name: str, operator: OperatorSettings, after: pulumi.ResourceOptions) -> None:
        custom = kubernetes.apiextensions
        make = custom.CustomResourcePatch if operator.patch else custom.CustomResource
        make(
            f"{name}-service",
            api_version=f"{operator.api_group.value}/{rendering.VERSION}",
            kind=rendering.KIND,
            metadata={"name": self._settings.name, "namespace": self._settings.namespace},
            spec=self._shown(rendering.spec),
            opts=after,
        )

    def _for_halyard(self, name: str, host: Host, halyard: HalyardSettings, after: pulumi.ResourceOptions) -> None:
        hidden = self._settings.jvm_options is JvmOptions.ENVIRONMENT

        def text(path: str) -> pulumi.Input[str]:
            return cast("pulumi.Output[str]", self.halyard_files.apply(lambda files: files[path]))

        files = tuple(
            File(
                path=f"{halyard.deployment}/{path}",
                content=text(path),
                mode=0o600,
                owner=halyard.user,
                group=halyard.user,
                secret=hidden,
            )
            for path in rendering.halyard_paths(self._settings)
        )
        folders = (halyard.deployment, *(f"{halyard.deployment}/{each}" for each in rendering.HALYARD_FOLDERS))
        directories = tuple(
            Directory(path=each, mode=0o700, owner=halyard.user, group=halyard.user) for each in folders
        )
        Role(f"{name}-halyard", host, RoleSpec(name="halyard-redis-mtls", directories=directories, files=files), after)


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()
