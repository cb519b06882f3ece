"""The cache service on lab hosts of its own."""
