"""Tests on real hosts and the real engine."""
