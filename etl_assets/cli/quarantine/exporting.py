"""``etl-assets quarantine export``: exports rejected records for a spreadsheet or a program."""

from __future__ import annotations

import csv
import json
import sys
from base64 import b64encode
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO

import click

from etl_assets.cli.environment import declared, environment, source_named
from etl_assets.cli.masking import MASK, Masking
from etl_assets.cli.quarantine.cells import escape_formula
from etl_assets.cli.quarantine.selection import filters_of, selecting
from etl_assets.cli.terminal import count_text
from etl_assets.model.record_status import RECORD_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.source import Source

_STDOUT: Final = "-"
_BOM: Final = "\ufeff"
"""At the beginning of a CSV file that people edit: a spreadsheet then reads it as UTF-8."""


@click.command()
@selecting
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(RECORD_STATUSES),
    help="All by default; with --editable, open and parked.",
)
@click.option("--format", "format_", type=click.Choice(["csv", "jsonl", "xlsx"]), required=True)
@click.option(
    "--editable", is_flag=True, help="A column for each column of the source, to be edited and imported; csv or xlsx."
)
@click.option("--reveal", is_flag=True, help="Export masked values, too.")
@click.argument("path", metavar="[FILE]", default=_STDOUT, type=click.Path(dir_okay=False, allow_dash=True))
def export(
    source: str | None,
    rule: str | None,
    conditions: Sequence[str],
    statuses: Sequence[str],
    format_: str,
    path: str,
    *,
    editable: bool,
    reveal: bool,
) -> None:
    """Export records to FILE, or to standard output if it is - or left out.

    Raw bytes are in base64. In a sheet, a cell that a spreadsheet might take for a formula begins with an apostrophe.
    """
    from etl_assets.postgres.ledger import quarantine

    if editable != (format_ == "xlsx") and format_ != "csv":
        raise click.UsageError("xlsx is for --editable, and jsonl is not.")
    if editable and source is None:
        raise click.UsageError("--editable needs --source: each source has columns of its own.")
    with environment() as env, env.connection() as connection:
        filters = filters_of(env, connection, source, rule, conditions)
        filters["statuses"] = statuses or (quarantine.WAITING if editable else RECORD_STATUSES)
        known = declared(env.settings)
        numbers = count()
        found = (record for record, _ in zip(quarantine.stream(connection, **filters), numbers, strict=False))
        if editable and source is not None:
            _write_sheet(path, format_, source_named(known, source), found, reveal=reveal)
        else:
            with _opened_text(path) as file:
                _write(file, format_, (_exported(record, known.sources, reveal=reveal) for record in found))
    if path != _STDOUT:
        click.echo(f"{count_text(next(numbers), 'record')} written to {path}.", err=True)


def _write(file: TextIO, format_: str, rows: Iterable[Mapping[str, Any]]) -> None:
    if format_ == "csv":
        write_csv(file, rows)
    else:
        file.writelines(json.dumps(row, ensure_ascii=True, default=str) + "\n" for row in rows)


def _write_sheet(path: str, format_: str, source: Source, records: Iterable[Rejected], *, reveal: bool) -> None:
    """Write records as a sheet that people edit."""
    from etl_assets.cli.quarantine.sheet import RecordSheet
    from etl_assets.cli.quarantine.workbooks import sheet_in

    sheet = RecordSheet(source, reveal=reveal)
    if format_ == "xlsx":
        with _opened_bytes(path) as stream, sheet_in(stream) as workbook:
            workbook.write(sheet.header)
            for record in records:
                workbook.write(sheet.row(record))
        return
    with _opened_text(path) as file:
        file.write(_BOM)
        writer = _writer(file)
        writer.writerow(sheet.header)
        writer.writerows(map(sheet.row, records))


def write_csv(file: TextIO, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV without formulas for a spreadsheet: every cell is quoted and escaped.

    Args:
        file: Opened with ``newline=""``.
        rows: All with the same keys; None is an empty cell, a list or dict is JSON.
    """
    writer = _writer(file)
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow([escape_formula(_text(row[name])) for name in _COLUMNS])


_COLUMNS: Final = (
    "id", "source", "partition", "delivery_id", "record_no", "location", "rules", "status", "rejected_at", "run_id",
    "replays", "reviewer", "reviewed_at", "note", "fields", "correction", "raw_base64",
)  # fmt: skip


def _exported(record: Rejected, known: Mapping[str, Source], *, reveal: bool) -> dict[str, Any]:
    """Return the columns of a record, its contents masked and encoded."""
    masking = Masking(known.get(record.source), reveal)
    converted = {
        "fields": masking.fields(record.fields),
        "correction": masking.fields(record.correction),
        "raw_base64": MASK if masking.hides_raw else b64encode(record.raw).decode(),
    }
    return {name: converted[name] if name in converted else getattr(record, name) for name in _COLUMNS}


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=True) if isinstance(value, dict) else str(value)


def _writer(file: TextIO) -> Any:
    return csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")


@contextmanager
def _opened_text(path: str) -> Iterator[TextIO]:
    if path == _STDOUT:
        yield sys.stdout
        return
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        yield file


@contextmanager
def _opened_bytes(path: str) -> Iterator[BinaryIO]:
    if path == _STDOUT:
        yield sys.stdout.buffer
        return
    with Path(path).open("wb") as file:
        yield file
