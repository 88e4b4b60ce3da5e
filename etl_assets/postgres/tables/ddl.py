"""Tables made from schemas: creation, additive evolution, and a clear refusal of anything else."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.errors import IncompatibleTableError
from etl_assets.schema import BOOKKEEPING

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_LOCK: Final = "etl_assets ddl"


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
    return {column.name: column.type.postgres for column in schema.columns} | dict.fromkeys(BOOKKEEPING, "bigint")


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
    return next(iter(_unique_indexes(connection, table, primary=True)), ())


def _unique_indexes(connection: Connection, table: str, *, primary: bool) -> list[tuple[str, ...]]:
    """The columns of each index that holds for every row: of the primary key, or of the others."""
    rows = connection.execute(
        "SELECT array_agg(a.attname::text ORDER BY k.place) FROM pg_index i "
        "CROSS JOIN unnest(i.indkey) WITH ORDINALITY k (attnum, place) "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum "
        "WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indisprimary = %s AND i.indpred IS NULL "
        "AND i.indexprs IS NULL AND k.place <= i.indnkeyatts GROUP BY i.indexrelid",
        (table, primary),
    ).fetchall()
    return [tuple(names) for (names,) in rows]


def _create(connection: Connection, table: str, schema: Schema) -> None:
    columns = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.name),
            sql.SQL(column.type.postgres),
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
    present = set(_unique_indexes(connection, table, primary=False))
    for claim in schema.claims:
        if claim.columns not in present:
            connection.execute(
                sql.SQL("CREATE UNIQUE INDEX {} ON {} ({})").format(
                    sql.Identifier(_index_name(table, claim.columns)),
                    identifier(table),
                    sql.SQL(", ").join(map(sql.Identifier, claim.columns)),
                )
            )


def _index_name(table: str, columns: tuple[str, ...]) -> str:
    """A name that no index over other columns has, of at most 63 bytes."""
    told = sha256(repr((table, columns)).encode()).hexdigest()[:8]
    return f"{table.split('.', 1)[1][:26]}_{'_'.join(columns)[:20]}_{told}_unique"


def _describe(connection: Connection, table: str, schema: Schema) -> None:
    for column in schema.columns:
        if column.description:
            connection.execute(
                sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                    identifier(table), sql.Identifier(column.name), sql.Literal(column.description)
                )
            )
