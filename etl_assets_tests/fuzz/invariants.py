"""What must hold for any bytes that are read as any format."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from etl_assets.errors import DeliveryError
from etl_assets.model.delivery import MemberIndex
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.base import Format
    from etl_assets.model.batch import RawBatch


def examine(format_: Format, data: bytes) -> int:
    """Read bytes, read them again by their index, and read each record again from its bytes.

    Args:
        format_: The format.
        data: The contents of a file.

    Returns:
        The number of records; -1 if the file is refused.

    Raises:
        AssertionError: If the readings differ, or a record is in none of them.
    """
    try:
        batches = list(format_.read(io.BytesIO(data), "file"))
    except DeliveryError:
        return -1
    assert batches
    names = tuple(dict.fromkeys(name for batch in batches for name in batch.names))
    index = MemberIndex("file", len(data), names, tuple(batch.span for batch in batches))
    again = list(format_.read(io.BytesIO(data), "file", index=index))
    assert [batch.span for batch in again] == [batch.span for batch in batches]
    expected = 1
    for batch, second in zip(batches, again, strict=True):
        span = batch.span
        assert span.first_record == expected
        expected += span.records
        contents = _contents(batch, names)
        assert sorted(contents) == list(range(span.first_record, span.last_record + 1))
        assert _contents(second, names) == contents
        records = {number: second.raw(number) for number in contents}
        assert _contents(format_.reread(names, records, span.context), names) == contents
        assert all(second.location(number) for number in contents)
    return expected - 1


def _contents(batch: RawBatch, names: Sequence[str]) -> dict[int, Any]:
    """Return for each record its values by name, or the rules that it breaks."""
    contents: dict[int, Any] = {}
    for row in batch.frame.iter_rows(named=True):
        contents[row[RECORD_NO]] = {name: row.get(name) for name in names}
    for number, rules in batch.malformed.select("record_no", "rules").iter_rows():
        assert number not in contents
        contents[number] = sorted(rules)
    return contents
