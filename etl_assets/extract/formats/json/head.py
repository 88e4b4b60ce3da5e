"""The first bytes of a file of JSON: it must be UTF-8, with or without a byte order mark."""

from __future__ import annotations

import codecs

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.encoding import UTF8, foreign_mark


def length_of_mark(head: bytes, where: str) -> int:
    """Return the length of the byte order mark at the start of a file.

    Args:
        head: The first bytes.
        where: How the error names the file.

    Raises:
        DeliveryError: If the file is empty, or has the byte order mark of another encoding.
    """
    if not head:
        raise DeliveryError(f"{where} is empty. Nothing was written. Check the feed: an empty file is no delivery.")
    if marked := foreign_mark(head, UTF8):
        raise DeliveryError(
            f"{where} begins with the byte order mark of {marked}. Nothing was written. Have the publisher write UTF-8."
        )
    return len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
