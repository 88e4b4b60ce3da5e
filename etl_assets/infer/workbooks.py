"""Recognises workbooks: the sheet, the rows of the header, and the rows below the table.

All sheets are read once, as rows without names, by the format itself.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, cast

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.excel.format import Excel
from etl_assets.infer.recognised import Recognised, chosen_part, first_batch, other_parts
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from etl_assets.infer.file import File
    from etl_assets.model.batch import RawBatch
    from etl_assets.model.secret import Secret

_MAGIC: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
_WIDEST: Final = 512
_MOST_ROWS: Final = 2_000
"""Only so many rows of a sheet are looked at for the rows around its table."""
_MOST_BEFORE: Final = 40
_FILLED: Final = 0.6
"""The first row of names has this share of the columns of the table."""
_ERRORS: Final = ("#N/A", "#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#GETTING_DATA", "#SPILL!")
_LOCATION: Final = re.compile(r".*!(.*):([0-9]+)", re.DOTALL)
_NUMBER: Final = re.compile(r"[+-]?[0-9][0-9.,]*(?:[eE][+-]?[0-9]+)?%?|[0-9]{4}-[0-9]{2}-[0-9]{2}.*")

Cells = tuple[str | None, ...]


@dataclass
class _Sheet:
    """The first rows of a sheet, by their numbers, and the number of all."""

    rows: dict[int, Cells] = field(default_factory=dict)
    count: int = 0


def is_workbook(head: bytes) -> bool:
    """Return whether a file that is no archive to unpack is a workbook, by its first bytes."""
    return head.startswith(_MAGIC)


def recognise_workbook(file: File, part: str | None, password: Secret | None) -> Recognised:
    """Return the format with sheet, header and footer.

    Raises:
        DeliveryError: If it has no table.
    """
    base = Excel(password=password)
    every_sheet = _sheets(file, base)
    sheets = {name: sheet for name, sheet in every_sheet.items() if sheet.rows}
    sizes = {name: sheet.count for name, sheet in sheets.items()}
    name = chosen_part(file, sizes, part)
    header_row, header_rows, doubts = _header(sheets[name].rows)
    footer = _footer(sheets[name], header_row + header_rows)
    format_ = replace(
        base,
        sheet=None if len(every_sheet) == 1 else name,
        header_row=header_row,
        header_rows=header_rows,
        footer=footer,
    )
    format_ = replace(format_, null=_errors(file, format_))
    if footer is not None:
        doubts.append(f"the last {footer} rows look like notes below the table: are there always as many?")
    if format_.null:
        doubts.append("cells with an error are declared to have no value")
    return Recognised(format_, tuple(doubts), other_parts(sizes, name, "the sheet {}, {} rows"))


def _sheets(file: File, base: Excel) -> dict[str, _Sheet]:
    """Return the rows of every visible sheet."""
    names = tuple(f"c{number}" for number in range(_WIDEST))
    sheets: dict[str, _Sheet] = defaultdict(_Sheet)
    file.stream.seek(0)
    format_ = replace(base, sheet="*", header=names, null=_ERRORS)
    with closing(cast("Generator[RawBatch]", format_.read(file.stream, "x"))) as batches:
        for batch in batches:
            if batch.span.records:
                _add(sheets, batch)
    return sheets


def _add(sheets: dict[str, _Sheet], batch: RawBatch) -> None:
    first = batch.span.first_record
    match = _LOCATION.fullmatch(batch.location(first))
    if match is None:
        raise DeliveryError("The workbook has no sheet with cells. Nothing was inferred. Check the feed.")
    sheet = sheets[match[1]]
    sheet.count += batch.span.records
    if len(sheet.rows) >= _MOST_ROWS:
        return
    frame = batch.frame.head(_MOST_ROWS)
    used = [name for name in frame.columns if name != RECORD_NO and frame.get_column(name).null_count() < len(frame)]
    width = max((int(name[1:]) + 1 for name in used), default=0)
    wanted = [*(f"c{number}" for number in range(width)), RECORD_NO]
    for *cells, number in frame.select(wanted).iter_rows():
        if len(sheet.rows) < _MOST_ROWS:
            row = int(batch.location(number).rpartition(":")[2])
            sheet.rows[row] = tuple(cells)


def _header(rows: dict[int, Cells]) -> tuple[int, int, list[str]]:
    """Return the number of the first row with names, the number of such rows, and what is not sure."""
    width = _usual_width(rows)
    candidates = list(rows)[:_MOST_BEFORE]
    first = next((number for number in candidates if _filled(rows[number]) >= _FILLED * width), candidates[0])
    upper = rows.get(first - 1)
    if upper is not None and _filled(upper) > 1 and _texts(upper) and _is_incomplete(upper, rows[first]):
        return first - 1, 2, []
    below = rows.get(first + 1)
    if below is not None and _repeats(rows[first]) and _texts(below) and _texts(rows[first]):
        return first, 2, []
    doubts = [] if _texts(rows[first]) else [f"row {first} has values that look like no names"]
    return first, 1, doubts


def _usual_width(rows: dict[int, Cells]) -> int:
    """Return the number of filled cells that most rows have, the largest of several that are as frequent."""
    counts = Counter(_filled(cells) for cells in rows.values())
    return max(counts, key=lambda width: (counts[width], width))


def _filled(cells: Sequence[str | None]) -> int:
    return sum(cell is not None for cell in cells)


def _texts(cells: Cells) -> bool:
    """Return whether most filled cells look like names and not like values."""
    filled = [cell for cell in cells if cell is not None]
    return sum(_NUMBER.fullmatch(cell) is None for cell in filled) * 2 > len(filled)


def _is_incomplete(upper: Cells, lower: Cells) -> bool:
    """Return whether the upper of two rows of names spans columns of the lower one, as merged cells do."""
    return _filled(upper) < _filled(lower) or (_filled(lower) < max(len(upper), len(lower)) and _texts(lower))


def _repeats(cells: Cells) -> bool:
    """Return whether a row has fewer names than columns: gaps between filled cells."""
    last = max((place for place, cell in enumerate(cells) if cell is not None), default=0)
    return any(cell is None for cell in cells[1:last])


def _footer(sheet: _Sheet, first: int) -> int | None:
    """Return the number of last rows that are no records: texts in the first cell alone, below the others."""
    if sheet.count > len(sheet.rows):
        return None
    body = [cells for number, cells in sheet.rows.items() if number >= first]
    if not body or max(map(_filled, body)) < 3:  # noqa: PLR2004 -- a narrow table has such records
        return None
    notes = 0
    while notes < len(body) and _filled(body[-1 - notes]) == 1 and body[-1 - notes][0] is not None:
        notes += 1
    return notes or None


def _errors(file: File, format_: Excel) -> tuple[str, ...]:
    """Return the errors that cells have, such as ``#N/A``."""
    batch = first_batch(file, format_)
    if batch is None or batch.malformed.is_empty():
        return ()
    broken = [batch.raw(number).decode() for number in batch.malformed.get_column("record_no").head(_MOST_ROWS)]
    return tuple(word for word in _ERRORS if any(f'"{word}"' in raw for raw in broken))
