"""Reads the records that pages are requested for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from etl_assets.errors import DeliveryError
from etl_assets.model.text import names_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.extract.rest.parent import Parent
    from etl_assets.model.partitions import Partition


class Parents(NamedTuple):
    """The records of a parent.

    Attributes:
        records: The declared columns of each record, each combination once, in the order in which they come.
        state: Where the next fetch of the parent begins.
        notes: What people should know, each as a sentence.
        requests: Number of requests.
    """

    records: Sequence[Mapping[str, str]]
    state: dict[str, Any]
    notes: list[str]
    requests: float


def parents_of(parent: Parent, partition: Partition, state: Mapping[str, Any]) -> Parents:
    """Fetch the records of a parent.

    Args:
        parent: The declaration.
        partition: The partition of the source.
        state: Where the fetch before ended; empty for all.

    Raises:
        DeliveryError: As `Extractor.fetch`.
    """
    extractor = parent.extractor
    records: dict[tuple[str, ...], Mapping[str, str]] = {}
    seen: dict[str, None] = {}
    without = 0
    published = list(dict.fromkeys(parent.columns.values()))
    with extractor.fetch_since(partition, state) as fetched:
        for batch in extractor.frozen_format.read(fetched.stream, ""):
            seen |= dict.fromkeys(batch.names)
            lacking = [name for name in published if name not in batch.names]
            frame = batch.frame.with_columns(pl.lit(None, pl.String).alias(name) for name in lacking)
            for row in frame.select(published).iter_rows(named=True):
                values = parent.values(row)
                if values is None:
                    without += 1
                elif parent.most is None or len(records) < parent.most:
                    records.setdefault(tuple(values.values()), values)
        notes = list(fetched.notes)
    if without and (lacking := [name for name in published if name not in seen]):
        raise DeliveryError(
            f"The records of the parent have no {names_text(lacking)}; they have {names_text(list(seen))}. Nothing was "
            "written. Correct the columns of the parent."
        )
    if without:
        names = ", ".join(published)
        notes.append(f"{without:,} records of the parent have no value in {names}, so that nothing was asked for.")
    return Parents(list(records.values()), fetched.state, notes, fetched.statistics.get("requests", 0.0))
