"""Redis or Valkey under TLS."""

from components.redis_tls_cluster.arguments import RedisTlsClusterArgs
from components.redis_tls_cluster.component import RedisTlsCluster
from components.redis_tls_cluster.settings import Flavour, RedisTlsSettings, Topology

__all__ = ["Flavour", "RedisTlsCluster", "RedisTlsClusterArgs", "RedisTlsSettings", "Topology"]
