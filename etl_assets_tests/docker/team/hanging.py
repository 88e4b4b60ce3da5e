"""An asset that does not end by itself."""

import time

import dagster as dg


@dg.asset
def hanging() -> None:
    """Wait for an hour."""
    time.sleep(3600)
