"""The format of records that are written here: NDJSON whose values are in the notation of ``schema.canonical_type``.

So an instant with a fraction, or a decimal, is read as it was by the declared type, without formats of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, BinaryIO

from etl_assets.extract.formats.ndjson import Ndjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.base import Format
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex, Span


def written(format_: Format) -> Format:
    """Return the format of what is written for a declared format."""
    if type(format_) is not Ndjson:
        return format_
    return WrittenNdjson(**{each.name: getattr(format_, each.name) for each in fields(format_)})


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
