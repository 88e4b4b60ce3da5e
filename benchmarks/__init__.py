"""The benchmark: this package's ingest against a hand-written psql load of the same rows.

Run as ``python -m benchmarks``. ``python -m benchmarks.costs`` measures what runs cost in processor seconds, and
``python -m benchmarks.backfill`` a backfill by Dagster's daemon. Nothing here is part of the installed package.
"""
