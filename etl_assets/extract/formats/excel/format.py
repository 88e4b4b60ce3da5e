"""Excel: the format of tables in workbooks, which combines its options and its reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from etl_assets.extract.base import Format
from etl_assets.extract.formats.excel.batch import RULES, ExcelBatch, columns_of
from etl_assets.extract.formats.excel.options import ExcelOptions
from etl_assets.extract.formats.excel.reader import ExcelReader
from etl_assets.model.delivery import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.base import Naming
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex
    from etl_assets.model.rule import RuleInfo


_MAGIC: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x09\x00", b"\x09\x02", b"\x09\x04", b"\x09\x08")
"""The first bytes of a zip archive, of an OLE container, and of an old workbook without one."""


@dataclass(frozen=True)
class Excel(ExcelOptions, Format):
    """A table in a workbook; see `ExcelOptions` for the arguments."""

    @property
    def naming(self) -> Naming:
        """See `Format.naming`."""
        return "header" if self.header is True else "declared"

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """See `Format.rules`."""
        return RULES

    def mismatch(self, head: bytes) -> str | None:
        """Return why a file is not of this format; see `Format.mismatch`."""
        return None if head.startswith(_MAGIC) else "is no workbook"

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Cut a workbook into batches of at most ``batch_bytes``; see `Format.read`."""
        reader = ExcelReader(self, stream, member)
        return reader.through(after) if index is None else reader.indexed(index)

    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:
        """Parse single records again; see `Format.reread`."""
        span = Span(0, "", 0, len(records), min(records, default=1), len(records), 0, context=context)
        columns = columns_of(list(records.values()), len(names))
        return ExcelBatch(span, names, columns, null=self.null, numbers=list(records))
