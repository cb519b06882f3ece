"""Redis and Valkey on lab hosts of its own."""
