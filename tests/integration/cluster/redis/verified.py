"""Two groups as pods, and Spinnaker's services as clients of one of them: a stack without a host."""

import pulumi

from components import CertificateAuthority, KubernetesCluster, RedisTlsCluster, RedisTlsClusterArgs, RedisTlsSettings
from components.settings import load
from components.spinnaker_redis_mtls import SpinnakerRedisMtls, SpinnakerRedisMtlsArgs, SpinnakerRedisSettings

config = pulumi.Config()
cluster = KubernetesCluster(kubeconfig=config.require_secret("kubeconfig"))
authority = CertificateAuthority("root")
groups = {}
for data in (config.require_object("redis"), config.require_object("ci")):
    settings = load(RedisTlsSettings, data, "redis")
    groups[settings.name] = RedisTlsClusterArgs(settings=settings, authority=authority, cluster=cluster)
clusters = {name: RedisTlsCluster(name, args) for name, args in groups.items()}
SpinnakerRedisMtls(
    "spinnaker",
    SpinnakerRedisMtlsArgs(
        settings=load(SpinnakerRedisSettings, config.require_object("spinnaker"), "spinnaker"),
        authority=authority,
        cluster=cluster,
        group=groups["ci"],
        redis_password=clusters["ci"].passwords["default"],
        after=[clusters["ci"]],
    ),
)
