"""The formats of records that are written here.

The values of NDJSON are in the notation of ``schema.canonical_type``, so that the declared type reads an instant with a
fraction as it was, without formats of its own. Parquet may be a file without records whose columns nobody knows, for
the resource had nothing new: then it is an empty line.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, BinaryIO, Final

from etl_assets.extract.formats.ndjson import Ndjson
from etl_assets.extract.formats.parquet import Parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.base import Format
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex, Span

NO_RECORD: Final = b"\n"
"""A file without a record, which is a delivery all the same."""


def written(format_: Format) -> Format:
    """Return the format of what is written for a declared format."""
    class_ = {Ndjson: WrittenNdjson, Parquet: WrittenParquet}.get(type(format_))
    return format_ if class_ is None else class_(**{each.name: getattr(format_, each.name) for each in fields(format_)})


@dataclass(frozen=True, kw_only=True)
class WrittenNdjson(Ndjson):
    """One JSON object a line, with values in the canonical notation."""

    @property
    def name(self) -> str:
        """The name of the format, as shown to people."""
        return "ndjson"

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Cut a file into batches; see `Format.read`."""
        for batch in super().read(stream, member, after=after, index=index):
            batch.canonical = True
            yield batch

    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:
        """Parse single records again; see `Format.reread`."""
        batch = super().reread(names, records, context)
        batch.canonical = True
        return batch


@dataclass(frozen=True)
class WrittenParquet(Parquet):
    """A Parquet file, or an empty line."""

    @property
    def name(self) -> str:
        """The name of the format, as shown to people."""
        return "parquet"

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Cut a file into batches; see `Format.read`."""
        start = stream.tell()
        is_empty = stream.read(len(NO_RECORD)) == NO_RECORD
        stream.seek(start)
        read = Ndjson().read if is_empty else super().read
        return read(stream, member, after=after, index=index)
