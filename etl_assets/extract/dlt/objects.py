"""Writes the dicts that a resource yields as NDJSON."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from etl_assets.errors import DeliveryError
from etl_assets.extract.dlt.frozen_format import NO_RECORD
from etl_assets.extract.dlt.marks import in_one_table, records_of, table_of
from etl_assets.extract.dlt.nested import Nested
from etl_assets.extract.dlt.values import UnknownTypeError, encoded, object_of, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from etl_assets.extract.dlt.items import Items

_AT_ONCE: Final = 1000
"""The largest number of records that are encoded at once."""
_LARGEST: Final = 1024 * 1024
"""Lines are collected up to so many bytes."""
_ENCODE: Final = msgspec.json.Encoder().encode_lines


def lines_of(items: Items, table: str = "") -> Iterator[bytes]:
    """Yield the lines of all records, some at a time.

    Args:
        items: What the resource yields.
        table: Which table of those that dlt would make is wanted; empty for the records as they are.

    Raises:
        DeliveryError: If an item is no record, or has a value without a notation.
    """
    progress, origin = items.progress, items.resource.origin
    lines = bytearray()
    for records in _pages(items, table):
        pages = 1
        for start in range(0, len(records), _AT_ONCE):
            part = records[start : start + _AT_ONCE]
            written = _written(part, origin)
            progress.advance(pages=pages, records=len(part), size=len(written))
            lines += written
            pages = 0
            if len(lines) >= _LARGEST:
                yield bytes(lines)
                lines.clear()
        if pages:
            progress.advance(pages=pages)
    yield bytes(lines) if progress.records else NO_RECORD


def _pages(items: Items, table: str) -> Iterator[Sequence[Any]]:
    if table:
        yield from _rows(items, table)
        return
    origin = items.resource.origin
    for item in in_one_table(items):
        yield (item,) if type(item) is dict else records_of(item, origin)


def _rows(items: Items, table: str) -> Iterator[list[Any]]:
    origin = items.resource.origin
    nested = Nested(items.schema, items.resource, table)
    for item, mark in items:
        rows: list[Any] = []
        with _writable(origin):
            for record in records_of(item, origin):
                plain = record if type(record) is dict else value_of(record)
                rows += nested.rows(plain, table_of(items.resource.resource, record, mark, origin))
        yield rows
    nested.check_found()


def _written(records: Sequence[Any], origin: str) -> bytes:
    with _writable(origin):
        return encoded([object_of(record) if type(record) is dict else value_of(record) for record in records], _ENCODE)


@contextmanager
def _writable(origin: str) -> Iterator[None]:
    """Raise a `DeliveryError` if records have a value without a notation."""
    try:
        yield
    except UnknownTypeError as error:
        raise DeliveryError(
            f"A record of {origin} {error.problem}. Nothing was written. Make it a text, a number or a dict, for "
            "example by add_map of the resource."
        ) from None
    except UnicodeEncodeError:
        raise DeliveryError(
            f"A record of {origin} has a text with half a character (a surrogate), which is no UTF-8. Nothing was "
            "written. Correct it by add_map of the resource, for example by text.encode('utf-8', 'replace').decode()."
        ) from None
    except RecursionError:
        raise DeliveryError(
            f"A record of {origin} is nested too deeply, or contains itself. Nothing was written. Make it flatter by "
            "add_map of the resource."
        ) from None
