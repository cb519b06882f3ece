"""The firewall on lab hosts of its own."""
