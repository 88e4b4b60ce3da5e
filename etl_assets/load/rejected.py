"""Collects the rejected records of a batch as the frame that goes into the quarantine, without a loop over records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES
from etl_assets.postgres.ledger.quarantine import NEW_REJECTED
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.batch import Batch, RawBatch
    from etl_assets.schema import Schema

_NUL: Final = r"[^\\](?:\\\\)*\\u0000"
"""Matches JSON with a NUL character in a text, which jsonb cannot store."""


def rejected_records(batch: Batch, schema: Schema, key_names: Sequence[str] = ()) -> pl.DataFrame:
    """Return the records of a batch that broke rules, with their bytes and, if they could be parsed, their fields.

    Args:
        batch: The batch.
        schema: Has the references for whose parents records are parked.
        key_names: The published names of the key's columns; none if records cannot be recognised by their key.

    Returns:
        The columns of `NEW_REJECTED`, by record number.
    """
    broken = batch.rejected.select(REJECTED_RECORD_NO, REJECTED_RULES)
    if broken.is_empty():
        return pl.DataFrame(schema=NEW_REJECTED)
    broken = broken.unique(REJECTED_RECORD_NO, keep="last").sort(REJECTED_RECORD_NO)
    numbers = broken[REJECTED_RECORD_NO].to_list()
    contents = broken.with_columns(
        batch.raw.locations(numbers).alias("location"),
        batch.raw.raws(numbers).alias("raw"),
        pl.when(_lacks_only_parents(schema)).then(pl.lit("parked")).otherwise(pl.lit("open")).alias("status"),
    )
    fields = _fields(batch.raw, broken[REJECTED_RECORD_NO], key_names)
    return contents.join(fields, on=REJECTED_RECORD_NO, how="left", maintain_order="left").select(*NEW_REJECTED)


def _lacks_only_parents(schema: Schema) -> pl.Expr:
    """Return whether every rule that a record broke is a reference that parks it."""
    parking = [lookup.rule for lookup in schema.lookups if lookup.missing == "park"]
    others = pl.col(REJECTED_RULES).list.set_difference(pl.lit(parking, dtype=pl.List(pl.String)))
    return others.list.len() == 0


def _fields(raw: RawBatch, numbers: pl.Series, key_names: Sequence[str]) -> pl.DataFrame:
    """Return the fields of the records that could be parsed, as JSON, and the texts of their keys.

    Both are null if the database cannot store the fields; the key is also null if a part of it is missing.
    """
    parsed = raw.texts_of(numbers)
    cells = parsed.drop(RECORD_NO)
    if cells.width:
        encoded = cells.to_struct("fields").struct.json_encode()
    else:
        encoded = pl.repeat("{}", parsed.height, dtype=pl.String, eager=True).alias("fields")
    parts = [cells.get_column(name).str.strip_chars(" ") for name in key_names]
    storable = ~encoded.str.contains(_NUL)
    has_key = pl.all_horizontal(storable, *(part.is_not_null() for part in parts)) if parts else pl.lit(value=False)
    key = pl.concat_list(parts) if parts else pl.lit(None, dtype=pl.List(pl.String))
    return pl.DataFrame([parsed[RECORD_NO].alias(REJECTED_RECORD_NO), encoded]).with_columns(
        pl.when(storable).then("fields"), pl.when(has_key).then(key).alias("key")
    )
