"""What the child process is asked to read: it comes as JSON on its standard input."""

from __future__ import annotations

from typing import NamedTuple


class Request(NamedTuple):
    """A workbook, and how its sheets are declared; see `Excel` for the arguments of a declaration.

    Attributes:
        path: Of the workbook.
        sheet: Name or pattern of the sheets; None for the only one.
        hidden_sheets: Whether hidden sheets may be read.
        header: The declared names; None if the sheet has them.
        header_row: Number of the row with the names, or of the first row with a record.
        header_rows: Number of rows with names; 0 if they are declared.
        footer: The number of last rows, or a pattern of the first cell after the records; None if there is none.
        ends_at_blank_row: Whether the records end before the first blank row.
        columns: The first and the last column to read, from 0.
        hidden_rows: ``read`` or ``skip``.
        percentages: ``seen`` or ``number``.
        password: Of the workbook; None if there is none.
        batch_bytes: Largest size of a batch.
        batch_cells: Largest number of cells of a batch.
        most_cells: Largest number of cells of the sheets.
        memory_bytes: Largest size of the address space.
        seconds: Largest processor time.
        spans: The batches to read: for each, the number of records before it, and of its own; None for all.
    """

    path: str
    sheet: str | None
    hidden_sheets: bool
    header: list[str] | None
    header_row: int
    header_rows: int
    footer: int | str | None
    ends_at_blank_row: bool
    columns: tuple[int, int]
    hidden_rows: str
    percentages: str
    password: str | None
    batch_bytes: int
    batch_cells: int
    most_cells: int
    memory_bytes: int
    seconds: int
    spans: list[tuple[int, int]] | None
