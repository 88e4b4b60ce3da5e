"""What is known of a text before its format is: its encoding, and its first whole lines."""

from __future__ import annotations

import codecs
from typing import Final

from etl_assets.extract.formats.encoding import UTF8
from etl_assets.extract.formats.utf8 import is_utf8

_MARKS: Final = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNREADABLE: Final = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b\x1c\x1d\x1e\x1f")


def encoding_of(head: bytes) -> tuple[str, list[str]]:
    """Return the encoding of the first bytes of a file, and what is not sure of it.

    Args:
        head: Whole lines, unless the encoding has several bytes for each character.
    """
    if (wide := _wide_encoding(head)) is not None:
        return wide, []
    if is_utf8(head):
        return UTF8, []
    doubt = "the bytes are not UTF-8; cp1252 is usual in Western Europe: look at the accented letters"
    try:
        head.decode("cp1252")
    except UnicodeDecodeError:
        return "latin-1", [doubt.replace("cp1252", "latin-1")]
    return "cp1252", [doubt]


def whole_lines(head: bytes) -> bytes:
    """Return the first bytes of a longer file up to the end of a line, all of them if there is none."""
    encoding = _wide_encoding(head)
    if encoding is None:
        return head[: (head.rfind(b"\n") + 1) or (head.rfind(b"\r") + 1)] or head
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    return text[: text.rfind("\n") + 1].encode(encoding) or head


def is_text(head: bytes) -> bool:
    """Return whether the first bytes of a file may be text."""
    return bool(head) and (_wide_encoding(head) is not None or _UNREADABLE.isdisjoint(head))


def _wide_encoding(head: bytes) -> str | None:
    """Return the encoding that a byte order mark names, or UTF-16 if every second byte is zero; else None."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) > len(head) // 4:
        return "utf-16-le" if odd > even else "utf-16-be"
    return None
