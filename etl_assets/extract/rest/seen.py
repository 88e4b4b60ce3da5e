"""What a fetch remembers for the next one: the cursor, and the records that the next one will see again."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from etl_assets.errors import DeliveryError
from etl_assets.extract.validators import CHECKSUM
from etl_assets.model.text import names_text
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from etl_assets.extract.incremental import Cursor, Incremental
    from etl_assets.extract.rest.answer import Answer

_SEEN: Final = "_seen"
_DIGITS: Final = 16
_MOST_KEPT: Final = 1_000
"""So many records are kept with a delivery; of a longer overlap none, so that a poll cannot know what is new."""
_MOST_COLLECTED: Final = 100_000


class Seen:
    """Follows the column of an incremental fetch through its pages.

    Attributes:
        without: Number of records without a value that moves the cursor.
    """

    def __init__(self, incremental: Incremental, state: Mapping[str, Any], asked_at: datetime) -> None:
        """Begin.

        Args:
            incremental: The column.
            state: Of the fetch before.
            asked_at: When the fetch began, in UTC.
        """
        self.without = 0
        self._incremental = incremental
        self._asked_at = asked_at
        self._cursor = incremental.cursor(state)
        self._records: list[tuple[Any, str]] | None = []

    def take(self, answer: Answer) -> None:
        """Take the records of a page.

        Raises:
            DeliveryError: If there are records, and none has the column.
        """
        found = [pair for batch in answer.batches for pair in self._values(answer, batch)]
        self._cursor = self._incremental.advanced(self._cursor, (value for value, _ in found), self._asked_at)
        if self._records is not None:
            border = self._border
            self._records += [(value, digest_of(raw)) for value, raw in found if border is None or value >= border]
            if len(self._records) > _MOST_COLLECTED:  # the border moves on, so that fewer may be left
                again = self._seen_again(self._records)
                self._records = None if len(again) > _MOST_COLLECTED else again

    @property
    def state(self) -> dict[str, Any]:
        """Where the next fetch begins, and digests of the records that it will see again."""
        again = None if self._records is None else self._seen_again(self._records)
        if again is None or len(again) > _MOST_KEPT:
            return self._of_cursor
        return {**self._of_cursor, _SEEN: sorted({digest for _, digest in again})}

    @property
    def _border(self) -> Any:
        """The value from which on the next fetch asks; None if it asks for all."""
        return self._incremental.since(self._of_cursor)

    def _seen_again(self, records: list[tuple[Any, str]]) -> list[tuple[Any, str]]:
        """Return the records that the next fetch will see again."""
        border = self._border
        return [pair for pair in records if border is None or pair[0] >= border]

    @property
    def _of_cursor(self) -> dict[str, Any]:
        return self._incremental.state(self._cursor)

    def _values(self, answer: Answer, batch: Any) -> list[tuple[Cursor, bytes]]:
        """Return value and bytes of each record that has a value."""
        by = self._incremental.by
        if not batch.span.records:
            return []
        if by not in batch.names:
            raise DeliveryError(
                f"{answer.label} has records without {by!r}, by which they are fetched; they have "
                f"{names_text(list(batch.names))}. Nothing was written. Correct by=… of incremental; flatten=… of the "
                "format makes columns of nested objects."
            )
        read = [
            (None if text is None else self._incremental.read(text), number)
            for text, number in batch.frame.select(by, RECORD_NO).iter_rows()
        ]
        found = [(value, batch.raw(number)) for value, number in read if value is not None]
        self.without += batch.span.records - len(found)
        return found


def has_new(answer: Answer, state: Mapping[str, Any]) -> bool | None:
    """Return whether a page has a record that a fetch has not seen; None if that is not known."""
    seen = state.get(_SEEN)
    return None if seen is None else not {digest_of(raw) for raw in answer.raws} <= set(seen)


def digest_of(raw: bytes) -> str:
    """Return a digest of a record, by which it is known again."""
    return sha256(raw).hexdigest()[:_DIGITS]


def validators_of(state: Mapping[str, Any]) -> dict[str, str]:
    """Return the validators of what a fetch has seen; none if that is not known."""
    if state.get(_SEEN) is None:
        return {}
    text = repr((sorted(state.get("cursor", {}).items()), state[_SEEN]))
    return {CHECKSUM: sha256(text.encode()).hexdigest()}
