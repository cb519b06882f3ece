"""The sealed cache service: tunnels, a load balancer between them, and the application told where to connect."""

from components.cache_service.component import CacheService, CacheServiceArgs
from components.cache_service.settings import CacheServiceSettings, ConnectionsSettings, WorkerSettings

__all__ = ["CacheService", "CacheServiceArgs", "CacheServiceSettings", "ConnectionsSettings", "WorkerSettings"]
