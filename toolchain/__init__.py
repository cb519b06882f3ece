"""The Pulumi CLI, its Python host and its plugins, whether or not Pulumi's downloads can be reached.

Official releases are used wherever they can be had. Where only package registries answer, the CLI is built from its
Go module, and the rest from the Go programs in this folder that stand in for it. What was chosen is said, piece by
piece, and kept in a cache outside the repository.
"""
