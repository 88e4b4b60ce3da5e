"""Records that are written alike are split all at once, without an object for each value.

Most feeds are written by one serializer: all records have the same keys in the same order, with the same blanks. Then
each is the same pieces of text with other values between them. The first record is parsed; for the others it is proved
that they are its pieces with a valid JSON value in each gap. Where this cannot be proved, they are parsed one by one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from etl_assets.extract.formats.json.columns import Values, text_of
from etl_assets.extract.formats.json.extent import text_end
from etl_assets.extract.formats.json.objects import is_json, object_of
from etl_assets.extract.formats.json.scalars import scalars
from etl_assets.extract.formats.utf8 import is_utf8

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from etl_assets.extract.formats.csv.bits import Positions

_QUOTE: Final = ord('"')
_COLON: Final = ord(":")
_SPACE: Final = ord(" ")
_BLANKS: Final = " \t\r\n"
_FEWEST: Final = 16
"""The smallest number of records that are split at once."""


class Pieces(NamedTuple):
    """How a record is written.

    Attributes:
        names: The key of each value.
        opens: Position of the first quote of each key in the record.
        texts: The bytes before each value, and those after the last.
        leads: How many bytes each of these texts has before its key.
    """

    names: tuple[str, ...]
    opens: tuple[int, ...]
    texts: tuple[bytes, ...]
    leads: tuple[int, ...]


class Quotes(NamedTuple):
    """The texts in quotes of some records, keys among them.

    Attributes:
        opens: Position of the first quote of each text.
        closes: Position of its last quote.
        keys: Which of the texts are keys: for each record, those of its top level in order.
    """

    opens: Positions
    closes: Positions
    keys: Positions


def columns_of_alike(records: Sequence[bytes], null: tuple[str, ...]) -> dict[str, pl.Series] | None:
    """Return the values of each column as text, in the order of the keys; None unless all records are alike.

    Args:
        records: The bytes of each.
        null: Texts that mean no value.
    """
    pieces = _pieces(records[0]) if len(records) >= _FEWEST else None
    if pieces is None:
        return None
    data = b"\n".join(records) + b"\n"
    codes = np.frombuffer(data, np.uint8)
    blanks = sum(byte < _SPACE for text in pieces.texts for byte in text) + 1
    if np.count_nonzero(codes < _SPACE) != blanks * len(records) or not is_utf8(data):
        return None
    quotes = _quotes(data, pieces, len(records), len(records[0]))
    if quotes is None:
        return None
    ends = np.cumsum(np.fromiter(map(len, records), np.int64, len(records)) + 1) - 1
    columns = list(_values(data, codes, pieces, quotes, ends))
    texts = [_proved_text(values, null) for values in columns if values is not None]
    proved = {name: text for name, text in zip(pieces.names, texts, strict=False) if text is not None}
    return proved if len(proved) == len(pieces.names) else None


def _pieces(record: bytes) -> Pieces | None:
    """Return how a record is written; None if it is malformed, or is not written as serializers do."""
    object_ = object_of(record) if is_utf8(record) else ""
    if isinstance(object_, str) or not object_:
        return None
    opens, texts, leads, at = [], [], [], 0
    for value in object_.values():
        opened = record.index(b'"', at)
        after = text_end(record, opened) + 1
        start = after + len(record[after:]) - len(record[after:].lstrip(_BLANKS.encode()))
        if record[after - 1] != _COLON:
            return None
        opens.append(opened)
        texts.append(record[at:start])
        leads.append(opened - at)
        at = start + len(value)
    return Pieces(tuple(object_), tuple(opens), (*texts, record[at:]), tuple(leads))


def _quotes(data: bytes, pieces: Pieces, count: int, first: int) -> Quotes | None:
    """Return the texts of all records; None if they do not all have as many keys as the first."""
    if b"\\" in data:
        data = data.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
    codes = np.frombuffer(data, np.uint8)
    positions = np.flatnonzero(codes == _QUOTE)
    if len(positions) % 2:
        return None
    opens, closes = positions[::2], positions[1::2]
    keys = np.flatnonzero(codes[closes + 1] == _COLON)
    each = int(np.searchsorted(opens[keys], first))
    if len(keys) != count * each:
        return None
    own = np.searchsorted(opens[keys[:each]], pieces.opens)
    if own[-1] >= each:
        return None
    return Quotes(np.append(opens, -1), np.append(closes, -1), keys.reshape(count, each)[:, own])


def _values(
    data: bytes, codes: np.ndarray, pieces: Pieces, quotes: Quotes, record_ends: Positions
) -> Iterator[Values | None]:
    """Yield the values of each column; None where a record has other bytes between them, or no single value."""
    backslashes = np.flatnonzero(codes == ord("\\")) if b"\\" in data else np.array([], np.int64)
    record_starts = np.concatenate(([0], record_ends[:-1] + 1))
    begins = [quotes.opens[quotes.keys[:, place]] - lead for place, lead in enumerate(pieces.leads)]
    begins.append(record_ends - len(pieces.texts[-1]))
    if not np.array_equal(begins[0], record_starts) or not _is_text(codes, begins[-1], pieces.texts[-1]):
        return
    for place, (begin, end) in enumerate(pairwise(begins)):
        text = pieces.texts[place]
        start = begin + len(text)
        if not (start < end).all() or not _is_text(codes, begin, text):
            return
        values = Values(data, start, end, codes[start] == _QUOTE, backslashes)
        follows = quotes.keys[:, place] + 1
        whole = (quotes.opens[follows] == start) & (quotes.closes[follows] == end - 1)
        yield values if (whole | ~values.quoted).all() else None


def _is_text(codes: np.ndarray, begins: Positions, text: bytes) -> bool:
    """Return whether the bytes at all positions are a text."""
    if begins.min() < 0 or begins.max() + len(text) > len(codes):
        return False
    windows = np.lib.stride_tricks.sliding_window_view(codes, len(text))
    return bool((windows[begins] == np.frombuffer(text, np.uint8)).all())


def _proved_text(values: Values, null: tuple[str, ...]) -> pl.Series | None:
    """Return values as text; None unless each of them is one JSON value."""
    others = values.at(np.flatnonzero(~values.quoted))
    unproved = others.at(np.flatnonzero(~scalars(others))).published
    if not all(is_json(value.encode()) and value.strip(_BLANKS) == value for value in unproved):
        return None
    try:
        return text_of(values, null)
    except msgspec.DecodeError:
        return None
