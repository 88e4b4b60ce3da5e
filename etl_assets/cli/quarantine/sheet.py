"""A sheet of records that people edit: a row for each record, a column for each column of its source.

The columns that begin with ``#`` are for the import and for the reader; a column of a source cannot have such a name.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from etl_assets.cli.masking import MASK, Masking
from etl_assets.cli.quarantine.cells import cell_of, is_date_of_one_meaning, is_same, may_be_rewritten, value_of
from etl_assets.cli.terminal import harmless_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.schema import Column
    from etl_assets.source import Source

ID: Final = "#id"
STATE: Final = "#state"
_FACTS: Final = (ID, STATE, "#at", "#broke")
_RAW: Final = "#raw"


class RecordSheet:
    """Writes records of a source as rows, and reads what was edited in them.

    Args:
        source: The declaration.
        reveal: Whether the values of sensitive columns are written.
    """

    def __init__(self, source: Source, *, reveal: bool = False) -> None:
        self._masking = Masking(source, reveal)
        self._columns = {column.name: column for column in source.schema.published}

    @property
    def header(self) -> list[str]:
        """The names of the columns."""
        return [*_FACTS, *self._columns, _RAW]

    def unknown(self, header: Sequence[str]) -> list[str]:
        """Return the names in a header that are no columns of the source."""
        return [name for name in header if not name.startswith("#") and name not in self._columns]

    def row(self, record: Rejected) -> list[str]:
        """Return the cells of a record, in the order of the header."""
        raw = MASK if self._masking.hides_raw else cell_of(harmless_bytes(record.raw))
        facts = [str(record.id), state_of(record), cell_of(record.location), ", ".join(record.rules)]
        return [*facts, *(self._shown(record, column) for column in self._columns.values()), raw]

    def edits(self, record: Rejected, cells: Mapping[str, str]) -> dict[str, str | None]:
        """Return the values of the cells that a person has edited, by column; a masked cell is not edited."""
        edited: dict[str, str | None] = {}
        for name, column in self._columns.items():
            cell = cells.get(name)
            if cell is None or (column.sensitive and cell == MASK) or is_same(cell, _cell(record, column)):
                continue
            edited[name] = value_of(cell)
        return edited

    def rewritten(self, record: Rejected, cells: Mapping[str, str], *, as_text: bool) -> list[str]:
        """Return the edited columns whose cells a spreadsheet may have written otherwise by itself.

        Args:
            record: As it was exported.
            cells: Of its row.
            as_text: Whether the sheet had its cells as texts, which a spreadsheet leaves as they are.

        A column of which the record breaks a rule was edited by a person, if its cells are texts, or if it is a date
        that can be read in one way only.
        """
        broken = {part for rule in record.rules for part in rule.split("__")}
        return [
            name
            for name in self.edits(record, cells)
            for exported in [_cell(record, self._columns[name])]
            if may_be_rewritten(cells[name], exported)
            and not (name in broken and (as_text or is_date_of_one_meaning(cells[name], exported)))
        ]

    def _shown(self, record: Rejected, column: Column) -> str:
        cell = _cell(record, column)
        return str(self._masking.column(column.name, cell)) if cell else cell


def state_of(record: Rejected) -> str:
    """Return a text, no number to a sheet, that changes with the record, its correction and its status."""
    contents = json.dumps([record.status, record.raw.hex(), record.fields, record.correction], sort_keys=True)
    return f"s{sha256(contents.encode()).hexdigest()[:16]}"


def _cell(record: Rejected, column: Column) -> str:
    from etl_assets.ingest.correcting import value_of as text_of

    return cell_of(text_of(record, column))
