"""HAProxy before Redis, on lab hosts of its own."""
