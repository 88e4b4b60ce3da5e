"""Tables made from schemas: creation, additive evolution, and a clear refusal of anything else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.errors import IncompatibleTableError
from etl_assets.model.schema import BOOKKEEPING

if TYPE_CHECKING:
    from etl_assets.model.schema import Column, Schema
    from etl_assets.postgres.connection import Connection

_PLAIN: Final = {
    "text": "text",
    "integer": "bigint",
    "float": "double precision",
    "boolean": "boolean",
    "date": "date",
    "time": "time without time zone",
    "json": "jsonb",
    "uuid": "uuid",
}
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_LOCK: Final = "etl_assets ddl"


def postgres_type(column: Column) -> str:
    """The type of a column as Postgres spells it."""
    if column.type == "decimal":
        return f"numeric({column.precision},{column.scale})"
    if column.type == "timestamp":
        return f"timestamp {'with' if column.is_instant else 'without'} time zone"
    return _PLAIN[column.type]


def identifier(table: str) -> sql.Identifier:
    """``schema.table`` as a quoted identifier."""
    return sql.Identifier(*table.split(".", 1))


def ensure_table(connection: Connection, table: str, schema: Schema) -> None:
    """Let a table hold what a schema declares: create it, or add what it lacks.

    Columns that the schema no longer declares stay, and are null in new rows.

    Args:
        connection: In autocommit; the change is one transaction, and concurrent callers wait for one another.
        table: ``schema.table``.
        schema: What it must hold.

    Raises:
        IncompatibleTableError: If no addition will do. Nothing was changed.
    """
    if _columns(connection, table) == _declared(schema) and _key(connection, table) == schema.key:
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (_LOCK,))
        present = _columns(connection, table)
        if present:
            _evolve(connection, table, schema, present)
        else:
            _create(connection, table, schema)
        _describe(connection, table, schema)


def _declared(schema: Schema) -> dict[str, str]:
    return {column.name: postgres_type(column) for column in schema.columns} | dict.fromkeys(BOOKKEEPING, "bigint")


def exists(connection: Connection, table: str) -> bool:
    """Whether there is such a table, ``schema.table``."""
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchone()
    return row is not None and bool(row[0])


def _columns(connection: Connection, table: str) -> dict[str, str]:
    """Name and type of every column; nothing when there is no such table."""
    rows = connection.execute(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a "
        "WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped",
        (table,),
    ).fetchall()
    return dict(rows)


def _key(connection: Connection, table: str) -> tuple[str, ...]:
    rows = connection.execute(
        "SELECT a.attname FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY k (attnum, place) "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum "
        "WHERE i.indrelid = to_regclass(%s) AND i.indisprimary AND k.place <= i.indnkeyatts ORDER BY k.place",
        (table,),
    ).fetchall()
    return tuple(name for (name,) in rows)


def _create(connection: Connection, table: str, schema: Schema) -> None:
    columns = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.name),
            sql.SQL(postgres_type(column)),
            sql.SQL(" NOT NULL" if column.name in schema.key else ""),
        )
        for column in schema.columns
    ]
    columns += [sql.SQL("{} bigint NOT NULL").format(sql.Identifier(name)) for name in BOOKKEEPING]
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(table.split(".", 1)[0])))
    connection.execute(
        sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY ({}))").format(
            identifier(table), sql.SQL(", ").join(columns), sql.SQL(", ").join(map(sql.Identifier, schema.key))
        )
    )
    _add_unique(connection, table, schema)


def _evolve(connection: Connection, table: str, schema: Schema, present: dict[str, str]) -> None:
    declared = _declared(schema)
    if foreign := [name for name in BOOKKEEPING if present.get(name) != "bigint"]:
        raise IncompatibleTableError(
            f"Table {table} exists and was not made by etl_assets: it lacks {', '.join(foreign)}. Nothing was changed. "
            "Rename that table, or give the source another name."
        )
    if (key := _key(connection, table)) != schema.key:
        raise IncompatibleTableError(
            f"Table {table} has the key ({', '.join(key)}) and the schema declares ({', '.join(schema.key)}). Nothing "
            "was changed. A key is for good: declare a source of a new name and load it anew."
        )
    for name, type_ in declared.items():
        if name not in present:
            connection.execute(
                sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
                    identifier(table), sql.Identifier(name), sql.SQL(type_)
                )
            )
        elif present[name] != type_:
            if not _widens(present[name], type_):
                raise IncompatibleTableError(
                    f"Column {name} of {table} is {present[name]} and the schema declares {type_}. Nothing was "
                    "changed. Declare the column under a new name, or alter the table by hand after a look at its "
                    "values."
                )
            connection.execute(
                sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {}").format(
                    identifier(table), sql.Identifier(name), sql.SQL(type_)
                )
            )
    _add_unique(connection, table, schema)


def _widens(old: str, new: str) -> bool:
    """Whether every value of the old type keeps its meaning and its digits in the new one."""
    before, after = _NUMERIC.fullmatch(old), _NUMERIC.fullmatch(new)
    if before and after:
        whole = int(after[1]) - int(after[2]) >= int(before[1]) - int(before[2])
        return whole and int(after[2]) >= int(before[2])
    return bool(after) and old == "bigint" and after is not None and int(after[1]) - int(after[2]) >= 19  # noqa: PLR2004 -- digits of a bigint


def _add_unique(connection: Connection, table: str, schema: Schema) -> None:
    for column in schema.columns:
        if column.unique:
            name = f"{table.split('.', 1)[1][:30]}_{column.name[:20]}_unique"
            connection.execute(
                sql.SQL("CREATE UNIQUE INDEX IF NOT EXISTS {} ON {} ({})").format(
                    sql.Identifier(name), identifier(table), sql.Identifier(column.name)
                )
            )


def _describe(connection: Connection, table: str, schema: Schema) -> None:
    for column in schema.columns:
        if column.description:
            connection.execute(
                sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                    identifier(table), sql.Identifier(column.name), sql.Literal(column.description)
                )
            )
