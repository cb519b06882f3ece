"""A pair of PostgreSQL servers on real hosts."""
