"""A batch of the records of many pages, or of a part of one."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from etl_assets.model.batch import NONE_MALFORMED, RawBatch
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.model.delivery import Span


class Part(NamedTuple):
    """The records of one page.

    Attributes:
        batch: As the format of the page reads them, with their numbers in the delivery.
        values: Of the record that the page was requested for: column to text.
        label: How the page is named to people; empty if that is not known.
    """

    batch: RawBatch
    values: Mapping[str, str]
    label: str = ""


class PagesBatch(RawBatch):
    """The records of some parts, in order.

    Args:
        span: Of the batch.
        parts: In the order of their records; none for a delivery without pages.
        names: The published names; those that the parts have if None.
        columns: The columns of the records that pages were requested for.
    """

    def __init__(
        self, span: Span, parts: Sequence[Part], names: Sequence[str] | None, columns: Sequence[str] = ()
    ) -> None:
        self.span = span
        if parts:
            first = parts[0].batch
            self.decimal = first.decimal
            self.canonical = first.canonical
            same = {n: t for n, t in first.types.items() if all(part.batch.types.get(n) == t for part in parts)}
            self.types = same
        found = dict.fromkeys([*columns, *(name for part in parts for name in part.batch.names)])
        self.names = tuple(found if names is None else names)
        self._parts = parts
        self._firsts = [part.batch.span.first_record for part in parts]
        self._frame: pl.DataFrame | None = None

    @property
    def frame(self) -> pl.DataFrame:
        """The well-formed records. See `RawBatch.frame`."""
        if self._frame is None:
            frames = [
                part.batch.frame.with_columns(
                    pl.lit(value, pl.String).alias(name) for name, value in part.values.items()
                )
                for part in self._parts
            ]
            empty = pl.DataFrame(schema={RECORD_NO: pl.Int64})
            frame = pl.concat([empty, *frames], how="diagonal")
            missing = [pl.lit(None, pl.String).alias(name) for name in self.names if name not in frame.columns]
            self._frame = frame.with_columns(missing).select(*self.names, RECORD_NO)
        return self._frame

    @property
    def malformed(self) -> pl.DataFrame:
        """Records that cannot be parsed. See `RawBatch.malformed`."""
        return pl.concat(
            [NONE_MALFORMED, *(part.batch.malformed.select(NONE_MALFORMED.columns) for part in self._parts)]
        )

    def raw(self, record_no: int) -> bytes:
        """The bytes of a record, as they are in its page."""
        return self._part(record_no).batch.raw(record_no)

    def location(self, record_no: int) -> str:
        """Page and place of a record: ``page 17, $.items[3]``."""
        part = self._part(record_no)
        place = part.batch.location(record_no).removeprefix(f"{part.label}:").lstrip(":")
        page = f"{part.label}, {place}" if part.label and place else part.label or place
        return f"{self.span.member}:{page}" if self.span.member else page

    def forget(self) -> None:
        """Free the parsed records."""
        self._frame = None
        for part in self._parts:
            part.batch.forget()

    def _part(self, record_no: int) -> Part:
        return self._parts[bisect_right(self._firsts, record_no) - 1]
