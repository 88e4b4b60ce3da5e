"""SqlDump: the format of SQL dumps, which combines its options and its reader."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from etl_assets.extract.base import Format
from etl_assets.extract.formats.encoding import UTF8, decode_record
from etl_assets.extract.formats.reread import span_of
from etl_assets.extract.formats.sql_dump.batch import RULES, DumpBatch
from etl_assets.extract.formats.sql_dump.cutting import Cut, odd_records
from etl_assets.extract.formats.sql_dump.layout import Layout
from etl_assets.extract.formats.sql_dump.options import SqlDumpOptions
from etl_assets.extract.formats.sql_dump.reader import DumpReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.base import Naming
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex, Span
    from etl_assets.model.rule import RuleInfo


_BEGINS: Final = re.compile(
    r"\s*(?:--|/\*|#|\\|(?:BEGIN|COPY|CREATE|DROP|INSERT|LOCK|PRAGMA|REPLACE|SELECT|SET|START|USE)\b)", re.IGNORECASE
)


@dataclass(frozen=True)
class SqlDump(SqlDumpOptions, Format):
    """One table of a plain SQL dump; see `SqlDumpOptions` for the arguments."""

    @property
    def naming(self) -> Naming:
        """See `Format.naming`."""
        return "declared" if self.header else "header"

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """See `Format.rules`."""
        return RULES

    def mismatch(self, head: bytes) -> str | None:
        """Return why a file is not of this format: it begins with a comment or a statement. See `Format.mismatch`."""
        codec = "utf-16" if self.codec.startswith("utf-16") else "latin-1"
        text = head.decode(codec, "ignore").lstrip("\ufeff\xef\xbb\xbf")
        return None if _BEGINS.match(text) else "begins with no statement of SQL"

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Cut the records of the table into batches; see `Format.read`."""
        reader = DumpReader(self, stream, member)
        return reader.through(after) if index is None else reader.indexed(index)

    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:
        """Parse single records again; see `Format.reread`."""
        layout = Layout.of_context(context) if context else Layout("insert", self.dialect, tuple(names))
        codec = self.codec if self.transcoded else None
        texts = [decode_record(record, codec) if codec else record for record in records.values()]
        return DumpBatch(
            span_of(records, context),
            layout,
            names=tuple(names),
            null=self.null,
            codec=UTF8 if codec else self.codec,
            original=codec,
            cut=Cut(texts, odd=odd_records(texts, layout)),
            numbers=list(records),
        )
