"""Reads a sheet of records that people have edited: a CSV file as a spreadsheet saves it, or a workbook."""

from __future__ import annotations

import csv
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from etl_assets.cli.quarantine.sheet import ID, STATE

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

_WORKBOOK: Final = b"PK\x03\x04"
_SEPARATORS: Final = (",", ";", "\t")
_LARGEST_CELL: Final = 16 * 1024**2


@dataclass(frozen=True)
class EditedSheet:
    """A sheet, read row by row.

    Attributes:
        header: The names of the columns.
        is_text: Whether its cells are texts, which a spreadsheet does not rewrite.
    """

    header: Sequence[str]
    is_text: bool
    _rows: Iterator[tuple[int, Sequence[str]]]

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[EditedSheet]:
        """Open a file for a block.

        Raises:
            click.UsageError: If it is no sheet that was exported to be edited.
            DeliveryError: If it is a workbook that cannot be read.
        """
        with path.open("rb") as file:
            is_workbook = file.read(len(_WORKBOOK)) == _WORKBOOK
        rows = _rows_of_workbook(path) if is_workbook else _rows_of_csv(path)
        try:
            header = [name.strip() for name in next(rows, (0, ()))[1]]
            if ID not in header or STATE not in header:
                raise click.UsageError(
                    f"{path} has no columns {ID} and {STATE}. Nothing was changed. Export the records with "
                    "`etl-assets quarantine export --editable`, and leave these columns as they are."
                )
            yield cls(header, is_workbook, rows)
        finally:
            rows.close()

    def rows(self) -> Iterator[tuple[int, Mapping[str, str]]]:
        """Yield the number and the cells of each row that has any, by the names of the columns."""
        for number, cells in self._rows:
            if any(cells):
                yield number, dict(zip(self.header, cells, strict=False))


def _rows_of_csv(path: Path) -> Generator[tuple[int, Sequence[str]]]:
    """Yield the rows of a CSV file, whichever of the usual separators a spreadsheet has given it."""
    former = csv.field_size_limit(_LARGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            separator = max(_SEPARATORS, key=first.count)
            yield from enumerate(csv.reader(file, delimiter=separator, strict=True), start=1)
    except UnicodeDecodeError as error:
        raise click.UsageError(
            f"{path} is not UTF-8. The rows after those that are counted were not imported. Save it as CSV UTF-8, or "
            "export a workbook."
        ) from error
    except csv.Error as error:
        raise click.UsageError(
            f"{path} cannot be read as CSV: {error}. The rows after those that are counted were not imported. Save it "
            "as CSV."
        ) from error
    finally:
        csv.field_size_limit(former)


def _rows_of_workbook(path: Path) -> Generator[tuple[int, Sequence[str]]]:
    """Yield the rows of a workbook, which a process of its own reads under limits."""
    from etl_assets import Excel

    format_ = Excel()
    with path.open("rb") as file:
        row = 1
        for batch in format_.read(file, path.name):
            if row == 1:
                yield row, list(batch.names)
            for cells in batch.frame.select(batch.names).iter_rows():
                row += 1
                yield row, [cell or "" for cell in cells]
