"""Numbers batches and records one after another, once it is known how many records each batch has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from etl_assets.extract.formats.json.batch import JsonBatch
    from etl_assets.model.delivery import Span


def numbered(batches: Iterable[JsonBatch], after: Span | None) -> Iterator[JsonBatch]:
    """Yield the batches that have records, with their numbers; and a last one without, if it has something to report.

    Objects that give no record count as skipped, in the next batch that has records. A file without records yields one
    batch.

    Args:
        batches: Of a file, in order; each has a span with its own offset, length, first line and skipped.
        after: The last batch of the previous member; None if there is none.
    """
    number, record = (after.batch + 1, after.last_record + 1) if after else (1, 1)
    skipped, last = 0, None
    for batch in batches:
        skipped += batch.span.skipped + batch.empty
        batch.span = replace(batch.span, batch=number, first_record=record, records=batch.records, skipped=skipped)
        last = batch
        if batch.records:
            yield batch
            number, record, skipped = number + 1, record + batch.records, 0
    if last is not None and (skipped or number == (after.batch + 1 if after else 1)):
        yield last
