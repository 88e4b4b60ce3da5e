"""Finds the rows of the table that something newer has confirmed, although their marks are older.

The loader calls this only for rows that it is about to change or delete, and only if newer ledger entries left rows
unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from etl_assets.load.prepare import row_hashes
from etl_assets.schema import DELIVERY_ID, RECORD_NO, ROW_HASH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etl_assets.schema import Schema

_OWN_ORDER = "#order"
_OWN_RECORD = "#record"


def confirmed_rows(
    candidates: pl.DataFrame, schema: Schema, delivery_id: int, seed: int, confirming: Iterable[pl.DataFrame]
) -> pl.DataFrame:
    """Find the rows that must not be changed. Read only as many confirming frames as needed.

    Args:
        candidates: The key's columns, the order column if the schema has one, and ``RECORD_NO``, of rows that would be
            written or deleted; no key twice.
        schema: Of the table.
        delivery_id: Of the delivery that the candidates belong to.
        seed: Of the row hashes.
        confirming: Frames of newer records, with the same columns and ``DELIVERY_ID``; see `ReadConfirmed`.

    Returns:
        Of the newest record that confirms each of those rows: the key's columns and the bookkeeping columns. A row of
        the table with another hash has not the contents of that record.
    """
    own = [pl.col(RECORD_NO).alias(_OWN_RECORD)]
    if schema.order_by is not None:
        own.append(pl.col(schema.order_by).alias(_OWN_ORDER))
    remaining = candidates.select(*schema.key, *own)
    marks = [*schema.key, DELIVERY_ID, RECORD_NO, ROW_HASH]
    parts = [remaining.select(schema.key).clear().with_columns(_no_marks())]
    for rows in confirming:
        ordered = [schema.order_by] if schema.order_by else []
        same_keys = rows.join(remaining, on=schema.key, how="semi")
        hashed = same_keys.with_columns(row_hashes(same_keys, schema.names, seed))
        matches = hashed.select(*dict.fromkeys([*marks, *ordered])).join(remaining, on=schema.key)
        newest = matches.filter(_is_newer(schema, delivery_id)).sort([*ordered, RECORD_NO])
        confirmed = newest.select(marks).unique(schema.key, keep="last")
        if confirmed.height:
            parts.append(confirmed)
            remaining = remaining.join(confirmed, on=schema.key, how="anti")
        if remaining.is_empty():
            break
    return pl.concat(parts)


def _no_marks() -> list[pl.Expr]:
    return [pl.lit(None, dtype=pl.Int64).alias(name) for name in (DELIVERY_ID, RECORD_NO, ROW_HASH)]


def _is_newer(schema: Schema, delivery_id: int) -> pl.Expr:
    """Whether a confirming row is newer than the candidate that it is joined with."""
    later = (pl.col(DELIVERY_ID) != delivery_id) | (pl.col(RECORD_NO) > pl.col(_OWN_RECORD))
    if schema.order_by is None:
        return later
    order, own = pl.col(schema.order_by), pl.col(_OWN_ORDER)
    return (order > own) | ((order == own) & later)
