"""Spinnaker's Java services as mutual TLS clients of Redis."""

from components.spinnaker_redis_mtls.arguments import SpinnakerRedisMtlsArgs
from components.spinnaker_redis_mtls.component import SpinnakerRedisMtls
from components.spinnaker_redis_mtls.settings import JavaService, SpinnakerRedisSettings

__all__ = ["JavaService", "SpinnakerRedisMtls", "SpinnakerRedisMtlsArgs", "SpinnakerRedisSettings"]
