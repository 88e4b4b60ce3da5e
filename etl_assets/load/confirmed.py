"""Finds the rows of the table that something newer has confirmed, although their marks are older.

The loader calls this only for rows that it is about to change or delete, and only if newer ledger entries left rows
unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etl_assets.schema import Schema

_CONFIRMING_ORDER = "#order"
_CONFIRMING_RECORD = "#record"


def confirmed_rows(candidates: pl.DataFrame, schema: Schema, confirming: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Find the rows that must stay unchanged. Read only as many confirming frames as needed.

    Args:
        candidates: The key's columns, the order column if the schema has one, and ``RECORD_NO``, of rows that would be
            written or deleted; no key twice.
        schema: Of the table.
        confirming: Frames with the same columns, of newer records; see `ReadConfirmed`.

    Returns:
        The key's columns of those candidates for which there is a newer confirming row.
    """
    columns = [*schema.key, *([schema.order_by] if schema.order_by else []), RECORD_NO]
    remaining = candidates.select(*dict.fromkeys(columns))
    parts = [remaining.select(schema.key).clear()]
    for rows in confirming:
        names = [pl.col(RECORD_NO).alias(_CONFIRMING_RECORD)]
        if schema.order_by is not None:
            names.append(pl.col(schema.order_by).alias(_CONFIRMING_ORDER))
        matches = remaining.join(rows.select(*schema.key, *names), on=schema.key)
        confirmed = matches.filter(_is_newer(schema)).select(schema.key).unique()
        if confirmed.height:
            parts.append(confirmed)
            remaining = remaining.join(confirmed, on=schema.key, how="anti")
        if remaining.is_empty():
            break
    return pl.concat(parts)


def _is_newer(schema: Schema) -> pl.Expr:
    """Whether a confirming row is newer than the candidate that it is joined with."""
    later = pl.col(_CONFIRMING_RECORD) > pl.col(RECORD_NO)
    if schema.order_by is None:
        return later
    own, confirming = pl.col(schema.order_by), pl.col(_CONFIRMING_ORDER)
    return (confirming > own) | ((confirming == own) & later)
