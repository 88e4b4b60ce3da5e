"""Converts typed rows to pandas frames, for transformers and for rules that are functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from etl_assets.model.batch import RECORD_NO

if TYPE_CHECKING:
    import pandas as pd


def to_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """Convert typed rows to a pandas frame.

    Args:
        frame: Rows, with ``RECORD_NO``.

    Returns:
        The other columns, Arrow-backed; the index, named ``RECORD_NO``, is the record number.
    """
    import pandas as pd  # noqa: PLC0415 -- declaring a column must not take this half a second

    table = frame.drop(RECORD_NO).to_arrow(compat_level=pl.CompatLevel.oldest())
    rows = table.to_pandas(types_mapper=pd.ArrowDtype)
    rows.index = pd.Index(frame.get_column(RECORD_NO).to_numpy(), name=RECORD_NO)
    return rows
