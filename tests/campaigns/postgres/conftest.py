"""The pair of the integration tests, for what is not yet sure to pass on a busy machine."""

from tests.integration.postgres.conftest import _stack, pair

__all__ = ["_stack", "pair"]
