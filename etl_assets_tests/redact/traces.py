"""Redacts records of a world, and looks for traces of a text in everything that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from psycopg import sql

from etl_assets import redact
from etl_assets.postgres.connection import connected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.redact import Finished
    from etl_assets_tests.ingest.world import World

_BY_ADA = redact.Decision("ada", "asked to be forgotten")


def redact_by_values(world: World, *rows: dict[str, str]) -> Finished:
    """Redact every record that has the values of a row, as the command does."""
    values = redact.typed_values(world.source, rows)
    found = redact.find(world.source, world.warehouse, values, {})
    redact.redact(world.source, world.warehouse, found, _BY_ADA, "redact")
    return redact.finish(world.source, world.warehouse, "redact", values)


def redact_by_number(world: World, *records: tuple[int, int]) -> Finished:
    """Redact records by delivery and number, as the command does."""
    numbers: dict[int, set[int]] = {}
    for delivery, number in records:
        numbers.setdefault(delivery, set()).add(number)
    found = redact.find(world.source, world.warehouse, None, numbers)
    redact.redact(world.source, world.warehouse, found, _BY_ADA, "redact")
    return redact.finish(world.source, world.warehouse, "redact")


def traces(world: World, text: str) -> list[str]:
    """Return the tables of the database, and the files of the landing store, that have a text."""
    return [*_tables_with(world, text), *_files_with(world, text)]


def _tables_with(world: World, text: str) -> list[str]:
    found = []
    with connected(world.url) as connection:
        tables = connection.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
        ).fetchall()
        for names in tables:
            query = sql.SQL("SELECT EXISTS (SELECT FROM {} t WHERE strpos(t::text, %s) > 0 OR strpos(t::text, %s) > 0)")
            row = connection.execute(query.format(sql.Identifier(*names)), (text, text.encode().hex())).fetchone()
            if row is not None and row[0]:
                found.append(".".join(names))
    return found


def _files_with(world: World, text: str) -> Sequence[str]:
    """Return the files of the landing store with a text, also if they are of Arrow, whose texts are compressed."""
    found = []
    for path in sorted((world.folder / "landing").rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if text.encode() in (_contents(data) if data.startswith(b"ARROW1") else data):
                found.append(path.suffix)
    return found


def _contents(data: bytes) -> bytes:
    with pa.ipc.open_file(data) as file:
        return b"\n".join(file.read_all()["raw"].cast(pa.binary()).to_numpy())
