"""Finds records that repeat the header, as in files that were put together from several."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final

import numpy as np

from etl_assets.extract.formats.csv.records import split_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.formats.bits import Bytes, Positions
    from etl_assets.extract.formats.csv.plain import PlainText
    from etl_assets.extract.formats.csv.records import Records

_MARK: Final = "\ufeff"
_ORDINARY: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ ")


def repeated_headers(text: PlainText, records: Records, names: Sequence[str], codec: str) -> list[int]:
    """Return the indices of the records whose fields are the published names, also after a byte order mark.

    Args:
        text: The text.
        records: Its records.
        names: The published names.
        codec: Encoding of the text.
    """
    headers = ([*names], [f"{_MARK}{names[0]}", *names[1:]])
    return [
        index
        for index in _candidates(text, records, names[0]).tolist()
        if _fields(text, text.data[records.starts[index] : records.ends[index]], codec) in headers
    ]


def _fields(text: PlainText, record: bytes, codec: str) -> list[str] | None:
    """Return the values of a well-formed record; None if they cannot be decoded."""
    try:
        return [text.meaning(field.decode(codec)) for field in split_fields(record, text.layout)]
    except UnicodeDecodeError:
        return None


def _candidates(text: PlainText, records: Records, name: str) -> Positions:
    """Return the indices of the well-formed records that begin like a name, in quotes, or after a byte order mark."""
    quote, delimiter = text.layout.quote, text.layout.delimiter
    beginning = "".join(takewhile(_ORDINARY.difference(delimiter.decode(), quote.decode()).__contains__, name)).encode()
    codes = np.frombuffer(text.data, np.uint8)
    found = [_beginning(codes, records.starts, before + beginning) for before in {b"", quote, _MARK.encode()}]
    indices = np.unique(np.concatenate(found))
    return indices[~records.misquoted[indices]]


def _beginning(codes: Bytes, starts: Positions, beginning: bytes) -> Positions:
    indices = np.flatnonzero(starts + len(beginning) <= len(codes))
    for ahead, byte in enumerate(beginning):
        indices = indices[codes[starts[indices] + ahead] == byte]
    return indices
