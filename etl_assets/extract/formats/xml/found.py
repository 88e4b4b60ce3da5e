"""A record as it was found in a document, and the position of its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from etl_assets.extract.formats.xml.tags import Tag


class Record(NamedTuple):
    """A record as it was found.

    Attributes:
        start: Position of its start tag, in bytes from the start of the document.
        close: Position of its end tag; the position after it if the element has no end tag.
        bare: Whether it has neither texts nor elements.
        cells: Text by published name, None for no value; None instead if an element occurs twice.
        ancestors: The start tags of the elements around it, from the root on.
    """

    start: int
    close: int
    bare: bool
    cells: dict[str, Any] | None
    ancestors: tuple[Tag, ...]


def end_of(record: Record, data: bytes | bytearray, origin: int, codec: str) -> int:
    """Return the position after the end tag of a record.

    Args:
        record: The record.
        data: Bytes of the document that contain the record.
        origin: Position of the first of them in the document.
        codec: Python's name of the encoding.
    """
    empty, mark = "/>".encode(codec), ">".encode(codec)
    close = record.close - origin
    if record.bare and data[close - len(empty) : close] == empty:
        return record.close
    end = data.find(mark, close)
    while (end - close) % len(mark):
        end = data.find(mark, end + 1)
    return end + len(mark) + origin
