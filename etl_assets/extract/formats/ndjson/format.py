"""Ndjson: the format of one JSON object a line, also known as JSON Lines.

The exact syntax:

* Lines end with LF or CRLF, and are UTF-8; a byte order mark is accepted. A blank line is no record.
* Names are the keys of the outermost object. A key that a record does not have is null, like a JSON null.
* A text becomes its characters, a number its published digits; ``true`` and ``false`` become these words. Arrays and
  objects stay JSON as published: declare their columns as json.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from etl_assets.errors import DeclarationError
from etl_assets.extract.base import BATCH_BYTES, LARGEST_BATCH, Format
from etl_assets.extract.formats.ndjson.batch import RULES, NdjsonBatch
from etl_assets.extract.formats.ndjson.reader import NdjsonReader
from etl_assets.extract.formats.recognition import mismatch_of_text
from etl_assets.model.delivery import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.base import Naming
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex
    from etl_assets.model.rule import RuleInfo


@dataclass(frozen=True)
class Ndjson(Format):
    """One JSON object a line.

    Attributes:
        null: Texts that mean 'no value' in every column, in addition to JSON's null.
        batch_bytes: Largest size of a batch.
    """

    null: tuple[str, ...] = ()
    batch_bytes: int = BATCH_BYTES

    def __post_init__(self) -> None:
        if not 1 <= self.batch_bytes <= LARGEST_BATCH:
            remedy = f"Write 1 to {LARGEST_BATCH} (1 GiB)"
            raise DeclarationError("format Ndjson", "batch_bytes", f"is {self.batch_bytes}", remedy)

    @property
    def naming(self) -> Naming:
        """See `Format.naming`."""
        return "union"

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """See `Format.rules`."""
        return RULES

    def mismatch(self, head: bytes) -> str | None:
        """Return why a file is not of this format; see `Format.mismatch`."""
        return mismatch_of_text(self, head)

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Cut a file into batches of at most ``batch_bytes``; see `Format.read`."""
        reader = NdjsonReader(stream, member, self.null, self.batch_bytes)
        return reader.through(after) if index is None else reader.indexed(index)

    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:  # noqa: ARG002 -- has none
        """Parse single records again; see `Format.reread`."""
        span = Span(0, "", 0, 0, min(records, default=1), len(records), 0)
        batch = NdjsonBatch(span, list(records.values()), null=self.null, numbers=list(records))
        batch.names = tuple(dict.fromkeys((*names, *batch.names)))
        return batch
