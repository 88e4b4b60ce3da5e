"""Ndjson: the format of one JSON object a line, also known as JSON Lines.

The exact syntax:

* Lines end with LF or CRLF, and are UTF-8; a byte order mark is accepted. A blank line is no record.
* Names are the keys of the outermost object. A key that a record does not have is null, like a JSON null.
* A text becomes its characters, a number its published digits; ``true`` and ``false`` become these words. Arrays and
  objects stay JSON as published, unless ``flatten`` or ``explode`` name them: declare their columns as json.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from etl_assets.extract.base import Format
from etl_assets.extract.formats.json.options import ObjectOptions
from etl_assets.extract.formats.json.reread import reread
from etl_assets.extract.formats.ndjson.reader import NdjsonReader
from etl_assets.extract.formats.recognition import mismatch_of_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex, Span


@dataclass(frozen=True, kw_only=True)
class Ndjson(ObjectOptions, Format):
    """One JSON object a line; see `ObjectOptions` for the arguments."""

    def mismatch(self, head: bytes) -> str | None:
        """Return why a file is not of this format; see `Format.mismatch`."""
        return mismatch_of_text(self, head)

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Cut a file into batches of at most ``batch_bytes``; see `Format.read`."""
        reader = NdjsonReader(stream, member, self)
        return reader.through(after) if index is None else reader.indexed(index)

    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:  # noqa: ARG002 -- has none
        """Parse single records again; see `Format.reread`."""
        return reread(self, names, records)
