"""The sealed cache service before a Valkey in the tests' cluster."""
