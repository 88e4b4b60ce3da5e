"""Which rows of the table something newer has confirmed, though their marks are older.

Asked only for rows that are about to be changed or deleted, and only where newer entries of the ledger left rows as
they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from etl_assets.schema import Schema

_ORDER = "#order"
_RECORD = "#record"


def confirmed_rows(at_stake: pl.DataFrame, schema: Schema, sightings: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Find the rows that must stay, reading no more sightings than it takes.

    Args:
        at_stake: The key's columns, the order column if the schema has one, and ``RECORD_NO``, of rows that come or
            that would be deleted; no key twice.
        schema: Of the table.
        sightings: The same columns, of what newer records said; see `ReadConfirmed`.

    Returns:
        The key's columns of the rows at stake than which a sighting is newer.
    """
    columns = [*schema.key, *([schema.order_by] if schema.order_by else []), RECORD_NO]
    left = at_stake.select(*dict.fromkeys(columns))
    found = [left.select(schema.key).clear()]
    for seen in sightings:
        names = [pl.col(RECORD_NO).alias(_RECORD)]
        if schema.order_by is not None:
            names.append(pl.col(schema.order_by).alias(_ORDER))
        met = left.join(seen.select(*schema.key, *names), on=schema.key)
        confirmed = met.filter(_is_newer(schema)).select(schema.key).unique()
        if confirmed.height:
            found.append(confirmed)
            left = left.join(confirmed, on=schema.key, how="anti")
        if left.is_empty():
            break
    return pl.concat(found)


def _is_newer(schema: Schema) -> pl.Expr:
    """Whether a sighting comes after the row that it is joined with."""
    later = pl.col(_RECORD) > pl.col(RECORD_NO)
    if schema.order_by is None:
        return later
    own, seen = pl.col(schema.order_by), pl.col(_ORDER)
    return (seen > own) | ((seen == own) & later)
