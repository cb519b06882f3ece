"""The pair of the integration tests, for what takes long."""

from tests.integration.postgres.conftest import _stack, pair

__all__ = ["_stack", "pair"]
