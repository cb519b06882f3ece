"""Tunnels on lab hosts of its own."""
