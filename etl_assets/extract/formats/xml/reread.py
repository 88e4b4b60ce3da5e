"""Parses single records of XML again, from the bytes in the quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.encoding import decode_record
from etl_assets.extract.formats.malformed import malformed_of
from etl_assets.extract.formats.reread import RereadBatch
from etl_assets.extract.formats.xml.batch import TWICE, WELL_FORMED, frame_of
from etl_assets.extract.formats.xml.document import Document
from etl_assets.extract.formats.xml.found import end_of
from etl_assets.extract.formats.xml.tags import Context, encoded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.extract.formats.xml.found import Record
    from etl_assets.extract.formats.xml.options import XmlOptions


def reread(options: XmlOptions, names: Sequence[str], records: Mapping[int, bytes], context: str) -> RereadBatch:
    """Return a batch of single records, each parsed independently; see `Format.reread`.

    Args:
        options: How the records are read.
        names: The published names.
        records: Record number to bytes, as `XmlBatch.raw` returned them.
        context: Of their spans.
    """
    parsed = {number: _record(options, raw, Context.of(context)) for number, raw in records.items()}
    rows = {number: record and record.cells for number, record in parsed.items()}
    every = tuple(dict.fromkeys((*names, *(name for row in rows.values() for name in row or ()))))
    broken = ((number, record) for number, record in parsed.items() if rows[number] is None)
    malformed = malformed_of((number, [TWICE if record else WELL_FORMED]) for number, record in broken)
    return RereadBatch(records, every, frame_of(rows, every, options.null), malformed)


def _record(options: XmlOptions, raw: bytes, context: Context) -> Record | None:
    """Return the record that some bytes are, with or without start tags around it; None if they are none."""
    data = decode_record(raw, options.transcoded) if options.transcoded else raw
    for descends in (False, True):
        document = Document(options, "the record", context.codec)
        head = encoded(context.tags[:1], context.codec)
        try:
            document.feed(head)
            if descends:
                document.descend()
            document.feed(data)
        except DeliveryError:
            continue
        records = document.take()
        length = len(head) + len(data)
        if len(records) == 1 and end_of(records[0], data, len(head), context.codec) == length:
            return records[0]
    return None
