"""Redis under Sentinel as pods, with TLS on every link and a network policy for its clients; see README.md."""

import pulumi

from components import CertificateAuthority, RedisTlsCluster, RedisTlsClusterArgs, RedisTlsSettings
from components.redis_tls_cluster.kubernetes.settings import (
    ClientSettings,
    KubernetesSettings,
    ResourceSettings,
    StorageSettings,
)
from components.redis_tls_cluster.settings import MemorySettings, Topology

orders = RedisTlsCluster(
    "orders",
    RedisTlsClusterArgs(
        settings=RedisTlsSettings(
            name="orders",
            topology=Topology.SENTINEL,
            kubernetes=KubernetesSettings(
                namespace="data",
                image="redis:8.0",
                # Who may connect: every pod with this label in the namespace of the shop.
                clients=(ClientSettings(pods={"app": "checkout"}, namespace="shop"),),
                resources=ResourceSettings(cpu="500m", memory="3Gi", memory_limit="5Gi"),
                storage=StorageSettings(size="10Gi"),
            ),
            memory=MemorySettings(limit="2gb"),
        ),
        authority=CertificateAuthority("authority"),
    ),
)
# By the group's name, as the command that writes what a client needs reads it.
pulumi.export("redis", {"orders": orders.outputs})
