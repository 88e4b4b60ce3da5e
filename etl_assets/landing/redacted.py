"""The frozen bytes of a delivery from which records were redacted: every other record, with its number and its place.

The bytes of a record are those of `RawBatch.raw`, from which each format reads the record again. So there is one kind
of file for all formats, and for packed and encrypted files too: a file of Arrow, with a record batch for each batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final, cast

import polars as pl
import pyarrow as pa

from etl_assets.model.batch import NONE_MALFORMED, REJECTED_RECORD_NO, RawBatch
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from io import IOBase

    from etl_assets.extract.base import Extractor, Format
    from etl_assets.model.delivery import Manifest, MemberIndex, Span

_TYPES: Final[dict[str, pa.DataType]] = {
    "record_no": pa.int64(),
    "location": pa.large_string(),
    "raw": pa.large_binary(),
    "malformed": pa.bool_(),
}
_SCHEMA: Final = pa.schema(_TYPES)


class RedactedBatch(RawBatch):
    """A batch without the records that were redacted.

    Args:
        format_: Reads the records.
        names: The published names of the batch.
        span: Where the batch was in the bytes as fetched, with the redacted records.
        records: The other records, in order: ``record_no``, ``location``, ``raw``, and whether they were ``malformed``.
            Those are read apart, because formats read many records faster if each of them is well-formed.
        unterminated: Number of its last record if that may have been cut; see `RawBatch.unterminated`.
    """

    def __init__(
        self, format_: Format, names: Sequence[str], span: Span, records: pl.DataFrame, unterminated: int | None
    ) -> None:
        self._records = records
        self._places = {number: place for place, number in enumerate(records["record_no"].to_list())}
        self._unterminated = unterminated if unterminated in self._places else None
        self._read = [
            format_.reread(names, dict(part.select("record_no", "raw").iter_rows()), span.context)
            for part in (records.filter(~pl.col("malformed")), records.filter("malformed"))
        ]
        first = self._read[0]
        self.span = span
        self.names = tuple(dict.fromkeys([*names, *(name for batch in self._read for name in batch.names)]))
        self.decimal, self.canonical, self.types = first.decimal, first.canonical, first.types
        self.on_unterminated = format_.on_unterminated
        self.redacted = span.records - records.height

    @property
    def frame(self) -> pl.DataFrame:
        """The well-formed records. See `RawBatch.frame`."""
        empty = pl.DataFrame(schema={**dict.fromkeys(self.names, pl.String), RECORD_NO: pl.Int64})
        return pl.concat([empty, *(batch.frame for batch in self._read)], how="diagonal").sort(RECORD_NO)

    @property
    def malformed(self) -> pl.DataFrame:
        """The other records. See `RawBatch.malformed`."""
        parts = [batch.malformed.select(NONE_MALFORMED.columns) for batch in self._read]
        return pl.concat([NONE_MALFORMED, *parts]).sort(REJECTED_RECORD_NO)

    @property
    def unterminated(self) -> int | None:
        """The last record, if it may have been cut. See `RawBatch.unterminated`."""
        return self._unterminated

    def raw(self, record_no: int) -> bytes:
        """The bytes of a record as delivered."""
        data: bytes = self._records["raw"][self._places[record_no]]
        return data

    def location(self, record_no: int) -> str:
        """The location of a record in its delivery."""
        text: str = self._records["location"][self._places[record_no]]
        return text


def write(batches: Iterable[RawBatch], redacted: Collection[int], file: BinaryIO) -> None:
    """Write the records of a delivery that are kept.

    Args:
        batches: All batches of the delivery.
        redacted: Numbers of the records to leave out.
        file: Receives the bytes, from its position on.
    """
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(cast("IOBase", file), _SCHEMA, options=options) as writer:
        for batch in batches:
            numbers = [number for number in batch.span.numbers if number not in redacted]
            record_numbers = pl.Series(numbers, dtype=pl.Int64)
            malformed = record_numbers.is_in(batch.malformed[REJECTED_RECORD_NO].implode())
            columns = (record_numbers, batch.locations(numbers), batch.raws(numbers), malformed)
            writer.write_batch(pa.record_batch([column.to_arrow() for column in columns], schema=_SCHEMA))
            batch.forget()


def read(
    extractor: Extractor, stream: BinaryIO, manifest: Manifest, wanted: Mapping[str, MemberIndex]
) -> Iterator[RedactedBatch]:
    """Read batches from what `write` wrote.

    Args:
        extractor: Knows the format of the partition.
        stream: The bytes, seekable.
        manifest: Of the bytes.
        wanted: The members and spans to read, by name of the member, with the published names.

    Yields:
        The batches, in order.
    """
    places = {span.batch: place for place, span in enumerate(manifest.spans)}
    last = {member.member: member.spans[-1].last_record for member in manifest.members if member.unterminated}
    with pa.ipc.open_file(cast("IOBase", stream)) as file:
        for member in wanted.values():
            for span in member.spans:
                records = pl.DataFrame(pl.from_arrow(file.get_batch(places[span.batch])))
                yield RedactedBatch(extractor.frozen_format, member.names, span, records, last.get(member.member))
