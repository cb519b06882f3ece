"""The cache in a cluster that exists, as a lab puts it there."""

import pulumi
import pulumi_kubernetes as kubernetes

from lab.cluster.cache_service import valkey

config = pulumi.Config()
provider = kubernetes.Provider("cluster", kubeconfig=config.require_secret("kubeconfig"))
valkey(
    "cache",
    provider,
    password=config.require_secret("password"),
    port=config.require_int("port"),
    opts=pulumi.ResourceOptions(),
)
