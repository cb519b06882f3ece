"""Groups of Redis and Valkey as pods."""
