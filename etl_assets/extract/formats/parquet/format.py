"""Parquet: the format of files with columns, types and row groups.

How values become text:

* Whole numbers and decimals keep their digits. Other numbers have the fewest digits that are read as the same number,
  and no point if they are whole: ``3``. NaN and infinity become words, which no declared type takes.
* Dates and times are written as ``schema.canonical_type`` describes, instants in UTC. Nanoseconds keep all digits; no
  declared type takes more than six. A duration is its count and its unit: ``90 s``.
* Texts are as published; an empty text is no null. Lists, structs and maps become JSON, in the same notation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from etl_assets.errors import DeclarationError
from etl_assets.extract.base import BATCH_BYTES, LARGEST_BATCH, Format
from etl_assets.extract.formats.parquet.cells import BinaryNotation
from etl_assets.extract.formats.row_batch import RULES, reread_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.base import Naming
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex, Span
    from etl_assets.model.rule import RuleInfo


_MAGIC: Final = b"PAR1"


@dataclass(frozen=True)
class Parquet(Format):
    """Rows of a Parquet file.

    Attributes:
        null: Texts that mean 'no value' in every column, in addition to null.
        binary: How bytes are written: ``text`` if they are texts in UTF-8, ``hex`` for two digits a byte.
        batch_bytes: Largest size of a batch, about, as values in memory. A batch is never in two row groups.
    """

    null: tuple[str, ...] = ()
    binary: BinaryNotation = "text"
    batch_bytes: int = BATCH_BYTES

    def __post_init__(self) -> None:
        if not 1 <= self.batch_bytes <= LARGEST_BATCH:
            remedy = f"Write 1 to {LARGEST_BATCH} (1 GiB)"
            raise DeclarationError("format Parquet", "batch_bytes", f"is {self.batch_bytes}", remedy)

    @property
    def naming(self) -> Naming:
        """See `Format.naming`."""
        return "header"

    @property
    def seeks(self) -> bool:
        """See `Format.seeks`."""
        return True

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """See `Format.rules`."""
        return RULES

    def mismatch(self, head: bytes) -> str | None:
        """Return why a file is not of this format; see `Format.mismatch`."""
        return None if head.startswith(_MAGIC) else "is no Parquet file"

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Cut a file into batches of rows of one row group; see `Format.read`.

        Without an index, all pages are decoded and their checksums verified.
        """
        from etl_assets.extract.formats.parquet.reader import ParquetReader  # noqa: PLC0415 -- slow to import

        reader = ParquetReader(stream, member, self.null, self.binary, self.batch_bytes)
        return reader.through(after) if index is None else reader.indexed(index)

    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:
        """Read single records again; see `Format.reread`."""
        return reread_rows(names, records, self.null, canonical=True, types=json.loads(context or "{}"))
