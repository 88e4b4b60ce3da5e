"""A batch of records of the quarantine, which is validated, transformed and loaded like any other.

The caller decides what happens to the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from etl_assets.model.batch import NONE_MALFORMED, RawBatch
from etl_assets.model.delivery import Span
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.extract.base import Format
    from etl_assets.model.delivery import Manifest
    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.schema import Schema


class QuarantinedBatch(RawBatch):
    """A batch of records of the quarantine: reads corrected records from their fields, the others from their bytes.

    If the quarantine has no fields of a corrected record, they are those of its bytes, as far as these can be parsed.
    A correction without any change confirms a record as it was published.

    Args:
        format_: Reads the bytes.
        schema: Has the names under which a column is published.
        manifest: Of the delivery of the records.
        records: In the order of their numbers.
        number: Of the batch in the ledger.
    """

    def __init__(
        self, format_: Format, schema: Schema, manifest: Manifest, records: Sequence[Rejected], number: int
    ) -> None:
        names = manifest.names
        self._records = {record.record_no: record for record in records}
        self._corrections = {
            record.record_no: _as_delivered(record.correction, schema, names) for record in records if record.correction
        }
        corrected = (name for correction in self._corrections.values() for name in correction)
        self.span = Span(number, "", 0, 0, records[0].record_no, len(records), 0)
        self._read = _reread(format_, manifest, [record for record in records if not record.correction])
        self._fields = {r.record_no: r.fields or {} for r in records if r.correction}
        without_fields = [record for record in records if record.correction and record.fields is None]
        for batch in _reread(format_, manifest, without_fields):
            self._fields |= {row[RECORD_NO]: row for row in batch.frame.iter_rows(named=True)}
        read = [name for batch in self._read for name in batch.names]
        self.names = tuple(dict.fromkeys([*names, *corrected, *read]))
        first = self._read[0] if self._read else format_.reread(names, {})
        self.decimal, self.canonical, self.types = first.decimal, first.canonical, first.types

    @property
    def frame(self) -> pl.DataFrame:
        """Corrected and re-read records. See `RawBatch.frame`."""
        text = dict.fromkeys(self.names, pl.String)
        corrected = [
            {**self._fields[record_no], **correction, RECORD_NO: record_no}
            for record_no, correction in self._corrections.items()
        ]
        frame = pl.DataFrame(corrected, schema={**text, RECORD_NO: pl.Int64})
        frames = [frame, *(batch.frame for batch in self._read)]
        return pl.concat(frames, how="diagonal")[[*self.names, RECORD_NO]].sort(RECORD_NO)

    @property
    def malformed(self) -> pl.DataFrame:
        """Records whose bytes still cannot be parsed. See `RawBatch.malformed`."""
        return pl.concat([NONE_MALFORMED, *(batch.malformed.select(NONE_MALFORMED.columns) for batch in self._read)])

    def raw(self, record_no: int) -> bytes:
        """The bytes of a record as delivered."""
        return self._records[record_no].raw

    def location(self, record_no: int) -> str:
        """The location of a record in its delivery."""
        return self._records[record_no].location


def _reread(format_: Format, manifest: Manifest, records: Sequence[Rejected]) -> list[RawBatch]:
    """Read records from their bytes again, those of one context at a time."""
    contexts: dict[str, dict[int, bytes]] = {}
    for record in records:
        contexts.setdefault(manifest.context_of(record.record_no), {})[record.record_no] = record.raw
    return [format_.reread(manifest.names, contents, context) for context, contents in contexts.items()]


def _as_delivered(correction: Mapping[str, str | None], schema: Schema, names: Sequence[str]) -> dict[str, str | None]:
    """Return a correction under the names that the delivery uses.

    Under another name of the same column, the correction would hide the values of the other records.
    """
    delivered = {
        alias: next((name for name in column.published_names if name in names), alias)
        for column in schema.published
        for alias in column.published_names
    }
    renamed = {delivered.get(name, name): value for name, value in correction.items() if name not in names}
    return {**renamed, **{name: value for name, value in correction.items() if name in names}}
