"""Two PostgreSQL servers and a witness, under Patroni and etcd."""

from components.postgres_ha_pair.arguments import PostgresHaPairArgs
from components.postgres_ha_pair.component import PostgresHaPair
from components.postgres_ha_pair.settings import DatabaseSettings, PostgresHaSettings, VirtualIpSettings

__all__ = ["DatabaseSettings", "PostgresHaPair", "PostgresHaPairArgs", "PostgresHaSettings", "VirtualIpSettings"]
