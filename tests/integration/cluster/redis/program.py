"""An authority, and a group of Redis or Valkey as pods."""

import pulumi

from components import CertificateAuthority, KubernetesCluster, RedisTlsCluster, RedisTlsClusterArgs, RedisTlsSettings
from components.settings import load

config = pulumi.Config()
settings = load(RedisTlsSettings, config.require_object("redis"), "redis")
group = RedisTlsCluster(
    settings.name,
    RedisTlsClusterArgs(
        settings=settings,
        authority=CertificateAuthority("root"),
        cluster=KubernetesCluster(kubeconfig=config.require_secret("kubeconfig")),
    ),
)
pulumi.export("redis", {settings.name: group.outputs})
