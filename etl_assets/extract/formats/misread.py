"""Text that Polars' reader of delimited text would not read as text, for those who use it."""

from __future__ import annotations

from typing import Final

MISREAD_STARTS: Final = (b"\xef\xbb\xbf", b"x\x01", b"x^")
"""Bytes at the start that Polars takes for a byte order mark, or for a packed stream (zlib)."""
