"""Pages: the format of frozen pages, each of which another format reads.

A batch has the records of many pages, so that a thousand small pages are no thousand transactions; a large page is cut
into several batches. A page is whole, since its transfer was checked, so that its last record needs no line end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from etl_assets.extract.base import Format
from etl_assets.extract.pages.batch import PagesBatch, Part
from etl_assets.extract.pages.context import Context
from etl_assets.extract.pages.reader import PagesReader
from etl_assets.model.delivery import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.extract.base import Naming
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.delivery import MemberIndex
    from etl_assets.model.rule import RuleInfo


@dataclass(frozen=True)
class Pages(Format):
    """Frozen pages.

    Attributes:
        format: The format of the body of a page.
        columns: The columns of the records that pages were requested for, which each record of such a page gets.
    """

    format: Format
    columns: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the format of a page."""
        return self.format.name

    @property
    def naming(self) -> Naming:
        """``union``: the names of a delivery are those of all its pages."""
        return "union"

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        """Those of the format of a page."""
        return self.format.rules

    @property
    def decimal(self) -> str:
        """That of the format of a page."""
        return self.format.decimal

    def of_partition(self, key: str) -> Pages:
        """Return the format with that of the pages of a partition."""
        return replace(self, format=self.format.of_partition(key))

    def read(
        self, stream: BinaryIO, member: str, *, after: Span | None = None, index: MemberIndex | None = None
    ) -> Iterator[RawBatch]:
        """Cut pages into batches; see `Format.read`. A large page is cut, and its parts are found by seeking."""
        reader = PagesReader(stream, member, self.format, self.columns)
        return reader.through(after) if index is None else reader.indexed(index)

    def reread(self, names: Sequence[str], records: Mapping[int, bytes], context: str = "") -> RawBatch:
        """Parse single records again; see `Format.reread`."""
        if not records:
            return self.format.reread(names, records)
        own = [name for name in names if name not in self.columns]
        known = Context.read(context)
        parts: list[Part] = []
        for place, numbers in sorted(known.groups(records).items()):
            inner, values = known.inner(place)
            batch = self.format.reread(own, {number: records[number] for number in numbers}, inner)
            batch.span = replace(batch.span, first_record=numbers[0])
            parts.append(Part(batch, values))
        found = dict.fromkeys([*names, *(name for part in parts for name in part.batch.names)])
        span = Span(0, "", 0, 0, min(records), len(records), 1)
        return PagesBatch(span, parts, tuple(found), self.columns)
