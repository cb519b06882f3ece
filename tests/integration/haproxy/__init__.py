"""HAProxy on lab hosts of its own."""
