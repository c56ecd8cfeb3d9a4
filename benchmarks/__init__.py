"""Benchmarks: what an enforced call costs, beside named peers in the same run."""
