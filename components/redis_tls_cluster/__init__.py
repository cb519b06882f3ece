"""Redis or Valkey under TLS."""

from components.redis_tls_cluster.component import RedisTlsCluster, RedisTlsClusterArgs
from components.redis_tls_cluster.settings import Flavour, RedisTlsSettings, Topology

__all__ = ["Flavour", "RedisTlsCluster", "RedisTlsClusterArgs", "RedisTlsSettings", "Topology"]
