"""``etl-assets quarantine export``: exports rejected records for a spreadsheet or a program."""

from __future__ import annotations

import csv
import json
import sys
from base64 import b64encode
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from etl_assets.cli.environment import declared, environment
from etl_assets.cli.masking import MASK, Masking
from etl_assets.model.record_status import RECORD_STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.source import Source

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


@click.command()
@click.option("--source", help="Only records of this source.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(RECORD_STATUSES),
    help="All by default.",
)
@click.option("--format", "format_", type=click.Choice(["csv", "jsonl"]), required=True)
@click.option("--reveal", is_flag=True, help="Export masked values, too.")
@click.argument("path", metavar="[FILE]", required=False, type=click.Path(dir_okay=False, path_type=Path))
def export(source: str | None, statuses: Sequence[str], format_: str, path: Path | None, *, reveal: bool) -> None:
    """Export records to FILE, or to standard output.

    Raw bytes are in base64. In CSV, a cell that a spreadsheet might take for a formula begins with an apostrophe.
    """
    from etl_assets.postgres.ledger import quarantine

    with environment() as env, env.connection() as connection:
        known = declared(env.settings).sources
        records = quarantine.stream(connection, source=source, statuses=statuses or RECORD_STATUSES)
        numbers = count()
        rows = (_exported(record, known, reveal=reveal) for record, _ in zip(records, numbers, strict=False))
        with _opened(path) as file:
            if format_ == "csv":
                write_csv(file, rows)
            else:
                file.writelines(json.dumps(row, ensure_ascii=True, default=str) + "\n" for row in rows)
    if path is not None:
        click.echo(f"{next(numbers)} records are in {path}.", err=True)


def write_csv(file: TextIO, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV without formulas for a spreadsheet: every cell is quoted and escaped.

    Args:
        file: Opened with ``newline=""``.
        rows: All with the same keys; None is an empty cell, a list or dict is JSON.
    """
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow([escape_formula(_text(row[name])) for name in _COLUMNS])


def escape_formula(text: str) -> str:
    """Return the text of a cell, with an apostrophe before anything that a spreadsheet might take for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


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


def _opened(path: Path | None) -> AbstractContextManager[TextIO]:
    if path is None:
        return nullcontext(sys.stdout)
    return path.open("w", encoding="utf-8", newline="")
