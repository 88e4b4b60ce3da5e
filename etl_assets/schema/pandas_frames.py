"""Typed rows as pandas: how transformers, and rules that are functions, are given them."""

from __future__ import annotations

import pandas as pd
import polars as pl

from etl_assets.schema.names import RECORD_NO


def to_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """Typed rows as a pandas frame.

    Args:
        frame: Rows, with ``RECORD_NO``.

    Returns:
        The other columns, Arrow-backed; the index, named ``RECORD_NO``, is the record number.
    """
    table = frame.drop(RECORD_NO).to_arrow(compat_level=pl.CompatLevel.oldest())
    shown = table.to_pandas(types_mapper=pd.ArrowDtype)
    shown.index = pd.Index(frame.get_column(RECORD_NO).to_numpy(), name=RECORD_NO)
    return shown
