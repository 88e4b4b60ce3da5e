"""A document of records with eleven elements and an attribute, read by Xml and by ElementTree's iterparse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import polars as pl

from benchmarks.formats._records import read
from etl_assets.extract.formats.xml import Xml

if TYPE_CHECKING:
    from pathlib import Path

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n<list date="2024-01-01"><items>\n'
_TAIL: Final = "</items></list>\n"
_RECORDS_AT_ONCE: Final = 10_000
_MEGABYTE: Final = 1024 * 1024


def write(path: Path, megabytes: int) -> int:
    """Write a document of at least that many megabytes; return the number of its records."""
    number = 0
    with path.open("w", encoding="utf-8") as file:
        size = file.write(_HEAD)
        while size < megabytes * _MEGABYTE:
            size += file.write("".join(map(_record, range(number, number + _RECORDS_AT_ONCE))))
            number += _RECORDS_AT_ONCE
        file.write(_TAIL)
    return number


def ours(path: Path) -> int:
    """Read the document through the format into frames; return the number of records."""
    return read(Xml(record="/list/items/item"), path)


def fastest(path: Path) -> int:
    """Read the document by iterparse into a frame; return the number of records."""
    columns: dict[str, list[str | None]] = {}
    parents: list[ET.Element] = []
    for event, element in ET.iterparse(path, ("start", "end")):  # noqa: S314 -- of our own making
        if event == "start":
            if len(parents) < 2:
                parents.append(element)
        elif element.tag == "item":
            columns.setdefault("@id", []).append(element.get("id"))
            for child in element:
                columns.setdefault(child.tag, []).append(child.text)
            parents[-1].clear()
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String())).height


def _record(number: int) -> str:
    values = (
        f"<carrier>{'AA' if number % 3 else 'B6'}</carrier><flight>{number % 7919}</flight><tail>N{number:07d}</tail>"
        f"<origin>JFK</origin><destination>L{number % 97:02d}</destination><distance>{number % 5000}.25</distance>"
        f"<departure>2024-01-01T{number % 24:02d}:{number % 60:02d}:00</departure><delay>{number % 120 - 20}</delay>"
        f"<gate>{number % 60}</gate><note>caf\u00e9 &amp; bar {number % 11}</note>"
        "<cancelled>false</cancelled>"
    )
    return f'<item id="{number}">{values}</item>\n'
