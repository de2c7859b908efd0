"""Benchmark of the camera tracker's speed, beside other trackers: python -m benchmarks.association."""
