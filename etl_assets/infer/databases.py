"""Recognises SQLite databases, and chooses the table with the most rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets.extract.base import BATCH_BYTES
from etl_assets.extract.formats.sqlite import Sqlite
from etl_assets.extract.spool import file_of
from etl_assets.infer.recognised import Recognised, chosen_part, other_parts

if TYPE_CHECKING:
    from etl_assets.infer.file import File

_SECONDS: Final = 60.0
_TABLES: Final = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
)


def is_sqlite(head: bytes) -> bool:
    """Return whether a file is an SQLite database, by its first bytes."""
    return Sqlite(table="x").mismatch(head) is None


def recognise_sqlite(file: File, part: str | None) -> Recognised:
    """Return the format with a table.

    Raises:
        DeliveryError: If it has no table, or not that one.
    """
    rows = _rows(file)
    table = chosen_part(file, rows, part)
    return Recognised(Sqlite(table=table), others=other_parts(rows, table, "the table {}, {} rows"))


def _rows(file: File) -> dict[str, int]:
    """Return the number of rows of each table."""
    from etl_assets.extract.formats.sqlite.database import TimeLimit, opened, refusing  # noqa: PLC0415 -- slow to import
    from etl_assets.extract.formats.sqlite.selection import quoted  # noqa: PLC0415 -- as above

    limit = TimeLimit(_SECONDS)
    file.stream.seek(0)
    with (
        file_of(file.stream) as path,
        opened(path, file.shown, limit, BATCH_BYTES) as connection,
        refusing(file.shown, [], BATCH_BYTES),
        limit,
    ):
        names = [name for (name,) in connection.execute(_TABLES)]
        return {name: connection.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0] for name in names}
