"""Decides which records of a delivery with the same key stay, if that needs the whole delivery to be read before.

A delivery of several batches is read twice: once for the keys, and once for the rows. Of each row, two hashes of its
key are kept, of 64 bits each, besides the number of its record and what decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets.model.rule import KEY_UNIQUE
from etl_assets.schema import RECORD_NO
from etl_assets.schema.repeated_keys import FOUND_BY_LOADER, Greatest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from etl_assets.model.batch import Batch
    from etl_assets.schema import Schema

_KEY: Final = ("#key", "#key2")
_CONTENTS: Final = "#contents"
_VALUE: Final = "#value"
_SEEDS: Final = (1, 2)


def decided(
    schema: Schema, read: Callable[[], Iterator[Batch]], wanted: Iterator[Batch], *, several: bool
) -> Iterator[Batch]:
    """Yield batches of a delivery without the rows that its other records outdo, and with those rejected that it says.

    Args:
        schema: Says which record stays.
        read: Reads every batch of the delivery.
        wanted: The batches to yield.
        several: Whether the delivery has more than one batch.
    """
    if not schema.key or schema.repeated_keys in FOUND_BY_LOADER:
        yield from wanted
    elif several:
        decision = _decide(schema, read())
        for batch in wanted:
            yield decision.apply(batch)
    else:
        for batch in wanted:
            yield _decide(schema, [batch]).apply(batch)


@dataclass(frozen=True)
class _Decision:
    """Which rows of a delivery do not stay.

    Attributes:
        schema: Of the rows.
        outdone: Hashes of the key, and number of the record, of the rows that another one outdoes.
        rejected: The numbers of the records that are rejected.
    """

    schema: Schema
    outdone: pl.DataFrame
    rejected: pl.Series

    def apply(self, batch: Batch) -> Batch:
        """Return a batch without those rows."""
        rows = batch.rows
        if self.rejected.len():
            broken = rows.filter(pl.col(RECORD_NO).is_in(self.rejected.implode()))[RECORD_NO].unique().sort()
            return batch.with_rejected(broken, [[KEY_UNIQUE]] * broken.len())
        if self.outdone.is_empty():
            return batch
        hashed = rows.with_columns(_key_hashes(rows, self.schema))
        kept = hashed.join(self.outdone, on=[*_KEY, RECORD_NO], how="anti", maintain_order="left").select(rows.columns)
        return replace(batch, rows=kept, outdone=rows.height - kept.height)


def _decide(schema: Schema, batches: Iterable[Batch]) -> _Decision:
    """Read the keys of a delivery, and decide."""
    parts = [_facts(batch.rows, schema) for batch in batches]
    facts = pl.concat(parts).filter(pl.len().over(_KEY) > 1) if parts else None
    marks = [*_KEY, RECORD_NO]
    nothing = pl.Series(dtype=pl.Int64)
    if facts is None or facts.is_empty():
        return _Decision(schema, pl.DataFrame(schema=dict.fromkeys(_KEY, pl.UInt64) | {RECORD_NO: pl.Int64}), nothing)
    if schema.repeated_keys == "reject_all":
        differ = facts.filter(pl.col(_CONTENTS).n_unique().over(_KEY) > 1)
        return _Decision(schema, facts.select(marks).clear(), differ[RECORD_NO].unique())
    # the last row of a record with the same key twice stays in any case, so that records are compared
    ordered = facts.sort([_VALUE, RECORD_NO], maintain_order=True)
    winner = pl.col(RECORD_NO).first() if schema.repeated_keys == "first" else pl.col(RECORD_NO).last()
    return _Decision(schema, ordered.filter(pl.col(RECORD_NO) != winner.over(_KEY)).select(marks).unique(), nothing)


def _facts(rows: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    """Return of each row the hashes of its key, its record, and what decides between rows of the same key."""
    value = pl.lit(0)
    if isinstance(schema.repeated_keys, Greatest):
        value = pl.col(schema.repeated_keys.column)
    contents = rows.select(schema.names).hash_rows(_SEEDS[0]).alias(_CONTENTS)
    return rows.select(RECORD_NO, value.alias(_VALUE)).with_columns(*_key_hashes(rows, schema), contents)


def _key_hashes(rows: pl.DataFrame, schema: Schema) -> list[pl.Series]:
    keys = rows.select(schema.key)
    return [keys.hash_rows(seed).alias(name) for name, seed in zip(_KEY, _SEEDS, strict=True)]
