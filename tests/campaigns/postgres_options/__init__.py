"""What a pair can have beside its defaults, on real hosts."""
