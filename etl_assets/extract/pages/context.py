"""What a batch of pages must know to read one of its records again: written into `Span.context` as JSON."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

import msgspec

from etl_assets.model.delivery import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from etl_assets.extract.pages.batch import Part


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """The first record of a page, the context of its batch in its own format, and the values of the page."""

    first_record: int
    context: str
    values: dict[str, str]


class _Cut(msgspec.Struct, frozen=True, array_like=True):
    """Where a batch is in its page, in the terms of `Span`."""

    offset: int
    length: int
    first_line: int


class Context(msgspec.Struct, frozen=True):
    """The context of a batch.

    Attributes:
        places: One for each page with records; empty if all that is known of them is nothing.
        cut: Where the batch is in its page, if it is a part of one.
    """

    places: tuple[_Place, ...] = ()
    cut: _Cut | None = None

    @classmethod
    def of(cls, parts: Sequence[Part], *, cut: bool) -> Context:
        """Return the context of parts; of a part of a page if `cut`."""
        spans = [part.batch.span for part in parts]
        places = tuple(
            _Place(span.first_record, span.context, dict(part.values))
            for span, part in zip(spans, parts, strict=True)
            if span.records
        )
        known = places if any(place.context or place.values for place in places) else ()
        return cls(known, _Cut(spans[0].offset, spans[0].length, spans[0].first_line) if cut else None)

    @classmethod
    def read(cls, text: str) -> Context:
        """Return the context that `text` wrote."""
        return msgspec.json.decode(text, type=cls) if text else _EMPTY

    @property
    def text(self) -> str:
        """The context as the text of a span; empty if there is nothing to know."""
        return "" if self == _EMPTY else msgspec.json.encode(self).decode()

    def span_in_page(self, span: Span, label: str) -> Span:
        """Return the span of a batch that is a part of its page, in that page."""
        if self.cut is None:
            raise ValueError("the batch is no part of a page")
        inner = self.places[0].context if self.places else ""
        cut = self.cut
        return Span(
            1, label, cut.offset, cut.length, span.first_record, span.records, cut.first_line, span.skipped, inner
        )

    def groups(self, records: Iterable[int]) -> Mapping[int, list[int]]:
        """Return the numbers of records by the index of their place; all under 0 if no places are known."""
        firsts = [place.first_record for place in self.places]
        groups: dict[int, list[int]] = {}
        for record in records:
            groups.setdefault(max(0, bisect_right(firsts, record) - 1), []).append(record)
        return groups

    def inner(self, index: int) -> tuple[str, Mapping[str, str]]:
        """Return the context and the values of a place."""
        return (self.places[index].context, self.places[index].values) if self.places else ("", {})


_EMPTY: Final = Context()
