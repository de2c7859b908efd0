"""Benchmark of identities over cameras and after absence: python -m benchmarks.identity."""
