"""The stack on hosts that exist already."""
