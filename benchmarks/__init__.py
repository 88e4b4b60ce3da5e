"""The benchmark: this package's ingest against a hand-written psql load of the same rows.

Run as ``python -m benchmarks``. ``python -m benchmarks.backfill`` measures a backfill by Dagster's daemon. Nothing
here is part of the installed package.
"""
