"""Creates tables from schemas, and changes them if the schema only adds or widens columns; refuses anything else."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.errors import IncompatibleTableError
from etl_assets.postgres.tables import range_partitions
from etl_assets.postgres.tables.delivery_index import FIND_INDEX, create_index
from etl_assets.postgres.tables.names import identifier
from etl_assets.schema import BOOKKEEPING, DELIVERY_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import PartitionBy, Schema

_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_LOCK: Final = "etl_assets ddl"
_CORE: Final = "core"
"""The schema of the tables of sources."""
_STATE: Final = (
    "SELECT coalesce((SELECT jsonb_object_agg(a.attname, format_type(a.atttypid, a.atttypmod)) FROM pg_attribute a "
    "WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped), '{}'), "
    "ARRAY(SELECT a.attname::text FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY k (attnum, place) "
    "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE i.indrelid = to_regclass(%(table)s) "
    f"AND i.indisprimary AND k.place <= i.indnkeyatts ORDER BY k.place), EXISTS ({FIND_INDEX}), "
    "EXISTS (SELECT FROM pg_partitioned_table p WHERE p.partrelid = to_regclass(%(table)s))"
)
"""The columns of a table with their types, its key, and whether it has the index of deliveries and is partitioned."""


@dataclass(frozen=True)
class Extension:
    """What a table has besides the columns of its schema and the three bookkeeping columns of every table.

    Attributes:
        columns: Further bookkeeping columns, and their types in Postgres.
        key: Bookkeeping columns that the primary key ends with.
        partition_by: How it is cut into child tables; None if it is not.
        clauses: What follows the type of some of these columns when they are created: a default, or an expression.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    partition_by: PartitionBy | None = None
    clauses: Mapping[str, str] = field(default_factory=dict)


_NONE: Final = Extension()


def ensure_table(
    connection: Connection, table: str, schema: Schema, extension: Extension = _NONE, *, known_as: str = ""
) -> None:
    """Make a table match its schema: create it, or add and widen columns.

    Columns that the schema no longer declares stay, and are null in new rows.

    Args:
        connection: In autocommit; the change is one transaction, and concurrent callers wait for one another.
        table: ``schema.table``.
        schema: The schema that it must match.
        extension: What it has besides.
        known_as: ``schema.name`` of the source or asset, if that is not the name of the table.

    Raises:
        IncompatibleTableError: If this needs any other change. Nothing was changed.
    """
    if is_as_declared(connection, table, schema, extension):
        return
    with connection.transaction():
        lock_ddl(connection)
        existing = columns_of(connection, table)
        if existing:
            _evolve(connection, table, schema, existing, extension, known_as or table)
        else:
            _create(connection, table, schema, extension)
        _add_unique(connection, table, schema)
        create_index(connection, table, index_name(table, (DELIVERY_ID,), "brin"))
        _describe(connection, table, schema)


def lock_ddl(connection: Connection) -> None:
    """Let only one session at a time create or change tables and views, until the transaction ends."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (_LOCK,))


def differences(connection: Connection, table: str, schema: Schema, extension: Extension = _NONE) -> list[str]:
    """Return what a table lacks of what `ensure_table` gives it, as clauses; nothing if it lacks nothing."""
    existing, key = columns_of(connection, table), _key(connection, table)
    unique = set(_unique_indexes(connection, table, primary=False))
    nullable = _nullable(connection, table)
    declared = declared_types(schema, extension).items()
    declared_key = _declared_key(schema, extension)
    of_children = range_partitions.difference(connection, table, extension.partition_by)
    return [
        *(f"lacks the column {name} of type {type_}" for name, type_ in declared if existing.get(name) != type_),
        *(
            [f"has the key ({', '.join(key)}), not ({', '.join(declared_key)})"]
            if key not in {(), declared_key}
            else []
        ),
        *(f"lacks the unique index of {claim.rule}" for claim in schema.claims if claim.columns not in unique),
        *(f"lets {name} be null" for name in (*schema.key, *BOOKKEEPING) if name in nullable),
        *([of_children] if of_children else []),
    ]


def is_comparable(connection: Connection, table: str, schema: Schema, extension: Extension = _NONE) -> bool:
    """Return whether a table has the key and the columns of a schema, so that rows can be compared with it by key."""
    declared = declared_types(schema, extension)
    return declared.items() <= columns_of(connection, table).items() and (
        _key(connection, table) == _declared_key(schema, extension)
    )


def is_as_declared(connection: Connection, table: str, schema: Schema, extension: Extension = _NONE) -> bool:
    """Return whether `ensure_table` has nothing to do."""
    row = connection.execute(_STATE, {"table": table, "column": DELIVERY_ID}).fetchone()
    columns, key, has_index, is_partitioned = row or ({}, (), False, False)
    return (
        columns == declared_types(schema, extension)
        and tuple(key) == _declared_key(schema, extension)
        and has_index
        and is_partitioned == (extension.partition_by is not None)
        and not (is_partitioned and range_partitions.difference(connection, table, extension.partition_by))
    )


def declared_types(schema: Schema, extension: Extension = _NONE) -> dict[str, str]:
    """Return the names and the types of the columns that `ensure_table` gives a table."""
    declared = {column.name: column.type.postgres for column in schema.columns}
    return declared | dict.fromkeys(BOOKKEEPING, "bigint") | dict(extension.columns)


def _declared_key(schema: Schema, extension: Extension) -> tuple[str, ...]:
    return (*schema.key, *extension.key)


def exists(connection: Connection, table: str) -> bool:
    """Return whether a table ``schema.table`` exists."""
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (table,)).fetchone()
    return row is not None and bool(row[0])


def is_view(connection: Connection, table: str) -> bool:
    """Return whether ``schema.table`` is a view."""
    row = connection.execute("SELECT relkind = 'v' FROM pg_class WHERE oid = to_regclass(%s)", (table,)).fetchone()
    return row is not None and bool(row[0])


def columns_of(connection: Connection, table: str) -> dict[str, str]:
    """Return the name and type of every column; nothing if there is no such table."""
    rows = connection.execute(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a "
        "WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        (table,),
    ).fetchall()
    return dict(rows)


def key_of(connection: Connection, table: str) -> tuple[str, ...]:
    """Return the columns of the primary key of a table ``schema.table``; none if it has none."""
    return _key(connection, table)


def retypes(connection: Connection, table: str, schema: Schema) -> bool:
    """Return whether a column that the table has is declared with another type."""
    existing = columns_of(connection, table)
    return any(existing.get(column.name, column.type.postgres) != column.type.postgres for column in schema.columns)


def _nullable(connection: Connection, table: str) -> set[str]:
    rows = connection.execute(
        "SELECT a.attname FROM pg_attribute a WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 "
        "AND NOT a.attisdropped AND NOT a.attnotnull",
        (table,),
    ).fetchall()
    return {name for (name,) in rows}


def _key(connection: Connection, table: str) -> tuple[str, ...]:
    return next(iter(_unique_indexes(connection, table, primary=True)), ())


def has_partial_index(connection: Connection, table: str, columns: tuple[str, ...]) -> bool:
    """Return whether a table has an index, whatever its name, over some columns of a part of its rows."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = to_regclass(%s) AND i.indisvalid "
        "AND i.indpred IS NOT NULL AND (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(i.indkey) "
        "WITH ORDINALITY k (attnum, place) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum "
        "WHERE k.place <= i.indnkeyatts) = %s::text[])",
        (table, list(columns)),
    ).fetchone()
    return bool(row and row[0])


def _unique_indexes(connection: Connection, table: str, *, primary: bool) -> list[tuple[str, ...]]:
    """Return the columns of each unique index over all rows: of the primary key, or of the other indexes."""
    rows = connection.execute(
        "SELECT array_agg(a.attname::text ORDER BY k.place) FROM pg_index i "
        "CROSS JOIN unnest(i.indkey) WITH ORDINALITY k (attnum, place) "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum "
        "WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indisprimary = %s AND i.indpred IS NULL "
        "AND i.indexprs IS NULL AND k.place <= i.indnkeyatts GROUP BY i.indexrelid",
        (table, primary),
    ).fetchall()
    return [tuple(names) for (names,) in rows]


def _create(connection: Connection, table: str, schema: Schema, extension: Extension) -> None:
    columns = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.name),
            sql.SQL(column.type.postgres),
            sql.SQL(" NOT NULL" if column.name in schema.key else ""),
        )
        for column in schema.columns
    ]
    columns += [sql.SQL("{} bigint NOT NULL").format(sql.Identifier(name)) for name in BOOKKEEPING]
    columns += [
        sql.SQL("{} {} {}").format(sql.Identifier(name), sql.SQL(type_), sql.SQL(extension.clauses.get(name, "")))
        for name, type_ in extension.columns.items()
    ]
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(table.split(".", 1)[0])))
    if key := _declared_key(schema, extension):
        columns.append(sql.SQL("PRIMARY KEY ({})").format(sql.SQL(", ").join(map(sql.Identifier, key))))
    cut: sql.Composable = sql.SQL("")
    if extension.partition_by is not None:
        cut = sql.SQL(" PARTITION BY RANGE ({})").format(sql.Identifier(extension.partition_by.column))
    connection.execute(sql.SQL("CREATE TABLE {} ({}){}").format(identifier(table), sql.SQL(", ").join(columns), cut))


def _evolve(
    connection: Connection,
    table: str,
    schema: Schema,
    existing: dict[str, str],
    extension: Extension,
    known_as: str,
) -> None:
    declared = declared_types(schema, extension)
    if is_view(connection, table):
        ours = set(BOOKKEEPING) <= set(existing)
        raise IncompatibleTableError(
            f"{table} is a view, as of a source with write=History(), and the declared write mode writes a table. "
            f"Nothing was changed. {remedy(known_as) if ours else 'Rename that view, or rename the source.'}"
        )
    if missing := [name for name in BOOKKEEPING if existing.get(name) != "bigint"]:
        raise IncompatibleTableError(
            f"Table {table} exists and was not created by etl_assets: it lacks {', '.join(missing)}. Nothing was "
            "changed. Rename that table, or rename the source."
        )
    if problem := _problem(connection, table, schema, existing, extension):
        raise IncompatibleTableError(f"{problem} Nothing was changed. {remedy(known_as)}")
    for name, type_ in declared.items():
        if name not in existing:
            connection.execute(
                sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
                    identifier(table), sql.Identifier(name), sql.SQL(type_)
                )
            )
        elif existing[name] != type_:
            connection.execute(
                sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {}").format(
                    identifier(table), sql.Identifier(name), sql.SQL(type_)
                )
            )


def check_partitions(connection: Connection, table: str, extension: Extension) -> None:
    """Raise an `IncompatibleTableError` unless an existing table is cut into child tables as declared."""
    if problem := range_partitions.difference(connection, table, extension.partition_by):
        raise IncompatibleTableError(f"Table {table} {problem}. Nothing was changed. {remedy(table)}")


def needs_rebuild(connection: Connection, table: str, schema: Schema, extension: Extension = _NONE) -> bool:
    """Return whether a table that this package created can only have what is declared if it is built again."""
    existing = columns_of(connection, table)
    return set(BOOKKEEPING) <= set(existing) and bool(_problem(connection, table, schema, existing, extension))


def _problem(connection: Connection, table: str, schema: Schema, existing: dict[str, str], extension: Extension) -> str:
    """Return what a table cannot be changed to in place, as a sentence; empty if it can."""
    if problem := range_partitions.difference(connection, table, extension.partition_by):
        return f"Table {table} {problem}."
    if (key := _key(connection, table)) != (declared_key := _declared_key(schema, extension)):
        return f"Table {table} has the key ({', '.join(key)}) and the schema declares ({', '.join(declared_key)})."
    for name, type_ in declared_types(schema, extension).items():
        if (old := existing.get(name, type_)) != type_ and not _widens(old, type_):
            return f"Column {name} of {table} is {old} and the schema declares {type_}."
    return ""


def remedy(table: str) -> str:
    """Return what to do about ``schema.table`` if it cannot be changed in place: a source is built again, beside it."""
    schema, name = table.split(".", 1)
    if schema != _CORE:
        return "Give the asset a name of its own, or drop the table and compute every partition again."
    return (
        f"Load every delivery into a new table and put it in place of the old one: `etl-assets rebuild {name} --swap`."
    )


def _widens(old: str, new: str) -> bool:
    """Return whether every value of the old type keeps its meaning and its digits in the new type."""
    before, after = _NUMERIC.fullmatch(old), _NUMERIC.fullmatch(new)
    if before and after:
        whole = int(after[1]) - int(after[2]) >= int(before[1]) - int(before[2])
        return whole and int(after[2]) >= int(before[2])
    return bool(after) and old == "bigint" and after is not None and int(after[1]) - int(after[2]) >= 19  # noqa: PLR2004 -- digits of a bigint


def _add_unique(connection: Connection, table: str, schema: Schema) -> None:
    existing = set(_unique_indexes(connection, table, primary=False))
    for claim in schema.claims:
        if claim.columns not in existing:
            connection.execute(
                sql.SQL("CREATE UNIQUE INDEX {} ON {} ({})").format(
                    sql.Identifier(index_name(table, claim.columns, "unique")),
                    identifier(table),
                    sql.SQL(", ").join(map(sql.Identifier, claim.columns)),
                )
            )


def index_name(table: str, columns: tuple[str, ...], kind: str) -> str:
    """Return a name for an index, of at most 63 bytes, that no index over other columns has."""
    digest = sha256(repr((table, columns)).encode()).hexdigest()[:8]
    return f"{table.split('.', 1)[1][:26]}_{'_'.join(columns)[:20]}_{digest}_{kind}"


def _describe(connection: Connection, table: str, schema: Schema) -> None:
    for column in schema.columns:
        if column.description:
            connection.execute(
                sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                    identifier(table), sql.Identifier(column.name), sql.Literal(column.description)
                )
            )
