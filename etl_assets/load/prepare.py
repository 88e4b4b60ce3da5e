"""Prepares a batch for its transaction: deduplicates, sorts and hashes rows; collects the rejected records.

All of this happens ahead of the database work, in the thread that reads.
"""

from __future__ import annotations

import platform
from collections import Counter
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets.load.rejected import rejected_records
from etl_assets.model.batch import REJECTED_RULES
from etl_assets.model.rule import KEY_UNIQUE
from etl_assets.schema import DELIVERY_ID, RECORD_NO, ROW_HASH

AFTER_ALL: Final = 2**62
"""A record number that is greater than that of any record."""
_CONTENTS: Final = "#contents"
MOST_PLACES: Final = 5
"""Number of places that are kept for a rule which only reports."""

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from etl_assets.load.base import Target
    from etl_assets.model.batch import Batch
    from etl_assets.schema import Schema


@dataclass(frozen=True)
class Prepared:
    """A batch that is prepared for its transaction.

    Attributes:
        batch: The batch, without the rows of records that repeat a key of it, if these are rejected.
        whole: The batch as it came.
        rows: One row for each key, sorted by key, with the bookkeeping columns; without a key, every row.
        produced: Number of rows before deduplication.
        duplicate: Number of rows left out because another row of the batch, or of the delivery, has the same key.
        rejected: The rejected records, from `rejected_records`.
        rules: How many records broke each rule, including the rules that only report.
        places: Where the first records are that broke each rule which only reports.
        encoded: The rows in the form sent to the database, if they were encoded ahead.
        keys: The keys of its records as published: ``RECORD_NO`` and a String column for each part; None if no rejected
            record is to be recognised by its key.
    """

    batch: Batch
    whole: Batch
    rows: pl.DataFrame
    produced: int
    duplicate: int
    rejected: pl.DataFrame
    rules: Counter[str]
    places: Mapping[str, Sequence[str]]
    encoded: bytes | None = None
    keys: pl.DataFrame | None = None


def published_keys(batch: Batch, schema: Schema) -> pl.DataFrame | None:
    """Return the keys of a batch's records as published; see `Prepared.keys`."""
    names = schema.published_key(batch.raw.names)
    if not names:
        return None
    texts = batch.raw.texts(names)
    parts = [texts.get_column(name).str.strip_chars(" ").alias(f"#{place}") for place, name in enumerate(names)]
    return pl.DataFrame([texts.get_column(RECORD_NO), *parts])


def hash_seed(schema: Schema) -> int:
    """Return the seed of row hashes, 63 bits. Hashes of one seed are comparable: they mean the same columns and types.

    Polars guarantees equal hashes only within one version, so the version is part of the seed.
    """
    columns = [(column.name, column.type.postgres) for column in schema.columns]
    inputs = repr((pl.__version__, platform.machine(), columns))
    return int.from_bytes(sha256(inputs.encode()).digest()[:8], "big") >> 1


def row_hashes(rows: pl.DataFrame, names: Sequence[str], seed: int) -> pl.Series:
    """Return the row hash of each row, of the named columns, as the column ``ROW_HASH``."""
    return rows.select(names).hash_rows(seed).reinterpret(signed=True).alias(ROW_HASH)


def prepare(batch: Batch, target: Target, delivery_id: int, seed: int) -> Prepared:
    """Prepare a batch for its transaction.

    Args:
        batch: From the validator or the transformer.
        target: The table that it is loaded into.
        delivery_id: Of the delivery it belongs to.
        seed: From `hash_seed`.
    """
    schema, whole = target.schema, batch
    first = target.writer.first_stays
    rows, duplicate, repeated = _one_of_each_key(batch.rows, schema, seed, first=first)
    if repeated and schema.repeated_keys == "reject":
        batch = _with_rejected(batch, {record_no: [KEY_UNIQUE] for record_no in repeated})
        rows, duplicate, repeated = _one_of_each_key(batch.rows, schema, seed, first=first)
    if repeated:
        batch = replace(batch, reported={**batch.reported, KEY_UNIQUE: repeated})
    rows = with_marks(rows, target, delivery_id, seed)
    reported = {rule: len(numbers) for rule, numbers in batch.reported.items()}
    places = {rule: places_of(batch, numbers) for rule, numbers in batch.reported.items()}
    key_names = schema.published_key(batch.raw.names) if target.keys_are_published else ()
    rejected = rejected_records(batch, schema, key_names)
    if not target.writer.deletes:  # a mode that deletes reads the keys of rejected records later
        batch.raw.forget()
    return Prepared(
        batch=batch,
        whole=whole,
        rows=rows,
        produced=batch.rows.height + batch.outdone,
        duplicate=duplicate + batch.outdone,
        rejected=rejected,
        rules=Counter(rejected[REJECTED_RULES].explode().drop_nulls().to_list()) + Counter(reported),
        places=places,
    )


def with_marks(rows: pl.DataFrame, target: Target, delivery_id: int, seed: int) -> pl.DataFrame:
    """Return rows with the bookkeeping columns."""
    hashes = row_hashes(rows, target.writer.compared(target.schema), seed)
    return rows.with_columns(pl.lit(delivery_id, dtype=pl.Int64).alias(DELIVERY_ID), hashes)


def without_repeated(
    prepared: Prepared, numbers: Sequence[int], target: Target, delivery_id: int, seed: int
) -> Prepared:
    """Prepare a batch again with those records rejected that repeat a key from before the batch.

    What remains is compared within the batch afterwards. So a record is compared with the first one of its key only.

    Args:
        prepared: The batch as it was prepared before.
        numbers: Of the records.
        target: The table that it is loaded into.
        delivery_id: Of the delivery it belongs to.
        seed: From `hash_seed`.
    """
    batch = _with_rejected(prepared.whole, dict.fromkeys(numbers, (KEY_UNIQUE,)))
    return prepare(batch, target, delivery_id, seed)


def without_rejected(
    prepared: Prepared, broken: Mapping[int, Iterable[str]], target: Target, delivery_id: int, seed: int
) -> Prepared:
    """Prepare a batch again with more records rejected: without their rows, with the rows that theirs had replaced.

    Args:
        prepared: The batch as it was prepared before.
        broken: Record number to the rules the record broke in addition; these records have rows in the batch.
        target: The table that it is loaded into.
        delivery_id: Of the delivery it belongs to.
        seed: From `hash_seed`.
    """
    return prepare(_with_rejected(prepared.batch, broken), target, delivery_id, seed)


def _with_rejected(batch: Batch, broken: Mapping[int, Iterable[str]]) -> Batch:
    return batch.with_rejected(pl.Series(list(broken), dtype=pl.Int64), [list(rules) for rules in broken.values()])


def places_of(batch: Batch, record_numbers: Sequence[int]) -> list[str]:
    """Return number and place of the first of some records of a batch, as people read them."""
    return [f"record {number} at {batch.raw.location(number)}" for number in sorted(record_numbers)[:MOST_PLACES]]


def _one_of_each_key(
    rows: pl.DataFrame, schema: Schema, seed: int, *, first: bool
) -> tuple[pl.DataFrame, int, list[int]]:
    """Find the newest row of each key, or the first one.

    Returns:
        That row of each key, sorted by key; the number of rows left out; and the numbers of the records that have
        other contents than the first one with their key and order, unless that does not matter.
    """
    if not schema.key:
        return rows, 0, []
    order = [schema.order_by] if schema.order_by else []
    rows = rows.sort([*schema.key, *order], maintain_order=True)
    same_as_next = pl.all_horizontal(pl.col(name).eq(pl.col(name).shift(-1)) for name in schema.key)
    newest = rows.select(same_as_next.fill_null(value=False).not_()).to_series()
    kept = int(newest.sum())
    if kept == rows.height:
        return rows, 0, []
    repeated = _repeated(rows, newest, schema, seed) if schema.repeated_keys in {"report", "reject"} else []
    stays = newest.shift(1, fill_value=True) if first else newest
    return rows.filter(stays), rows.height - kept, repeated


def _repeated(rows: pl.DataFrame, newest: pl.Series, schema: Schema, seed: int) -> list[int]:
    """Return the numbers of the records with other contents than the first record with their key and order.

    Args:
        rows: Sorted by key, order and record.
        newest: For each row, whether the next one has another key.
        schema: Of the rows.
        seed: Of the hashes of contents.
    """
    sharing = rows.filter(~newest | ~newest.shift(1, fill_value=True))
    contents = sharing.select(schema.names).hash_rows(seed).alias(_CONTENTS)
    group = dict.fromkeys([*schema.key, *([schema.order_by] if schema.order_by else [])])
    differs = pl.col(_CONTENTS) != pl.col(_CONTENTS).first().over(*group)
    numbers = sharing.with_columns(contents).filter(differs)[RECORD_NO]
    return numbers.unique().sort().to_list()
