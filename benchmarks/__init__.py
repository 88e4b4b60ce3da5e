"""The benchmark: this package's ingest against a hand-written psql load of the same rows.

Run as ``python -m benchmarks``. Nothing here is part of the installed package.
"""
