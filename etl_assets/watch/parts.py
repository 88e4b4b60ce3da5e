"""Summarize one batch, for the profile and the drift of its delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.model.batch import BatchProfile
from etl_assets.watch.cell_samples import observe
from etl_assets.watch.profiles import profile_batch

if TYPE_CHECKING:
    import polars as pl

    from etl_assets.model.batch import RawBatch
    from etl_assets.schema import Schema


def batch_profile(schema: Schema, raw: RawBatch, rows: pl.DataFrame, batches: int) -> BatchProfile:
    """Summarize a batch.

    Args:
        schema: The contract.
        raw: The batch as published.
        rows: The rows that its records became, typed, as in `Batch`.
        batches: How many batches the delivery has.
    """
    return BatchProfile(profile_batch(schema, rows, batches), observe(schema, raw, batches))
