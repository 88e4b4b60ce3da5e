"""Whether a new table may take the place of a table without anybody noticing more than the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

from etl_assets.errors import RebuildError
from etl_assets.postgres.tables.ddl import columns_of, declared_types
from etl_assets.postgres.tables.names import identifier
from etl_assets.postgres.tables.new_table import name_of
from etl_assets.postgres.tables.replacement import Replacement
from etl_assets.postgres.tables.staging import SWAPS

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Schema

_PLAIN: Final = (
    "SELECT c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relispartition "
    "AND NOT EXISTS (SELECT FROM pg_options_to_table(c.reloptions) o WHERE o.option_name <> 'fillfactor') "
    "AND c.reltablespace = 0 AND c.relreplident = 'd' AND c.reloftype = 0 "
    "AND c.relowner = current_user::regrole AND has_schema_privilege(c.relnamespace, 'CREATE') "
    "AND has_database_privilege(current_database(), 'CREATE') "
    "AND has_column_privilege('etl.batch', 'inserted', 'UPDATE') "
    "AND coalesce(has_schema_privilege(to_regnamespace(%(swaps)s), 'CREATE'), true) "
    "AND NOT EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)) "
    "AND NOT EXISTS (SELECT FROM pg_constraint k WHERE c.oid IN (k.conrelid, k.confrelid) "
    "AND (NOT k.convalidated OR k.conrelid = k.confrelid)) "
    "AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
    "AND (a.attidentity <> '' OR a.attgenerated <> '' OR a.attoptions IS NOT NULL OR coalesce(a.attstattarget, -1) "
    "<> -1)) AND NOT EXISTS (SELECT FROM pg_publication) "
    "AND NOT EXISTS (SELECT FROM pg_seclabel s WHERE s.classoid = 'pg_class'::regclass AND s.objoid = c.oid) "
    "FROM pg_class c WHERE c.oid = to_regclass(%(table)s)"
)
"""SQL: whether a table has nothing that a new one would lack, besides what a `Replacement` knows."""


def is_swappable(connection: Connection, table: str, schema: Schema) -> bool:
    """Return whether a new table could take the place of a table with everything that is attached to it.

    Args:
        connection: To the warehouse.
        table: ``schema.table``.
        schema: Of the table.
    """
    if columns_of(connection, table) != declared_types(schema):
        return False
    row = connection.execute(_PLAIN, {"table": table, "swaps": SWAPS}).fetchone()
    if row is None or not row[0]:
        return False
    try:
        Replacement(connection, table, name_of(table), name_of(table))
    except RebuildError:
        return False
    return True


def has_more_rows(connection: Connection, table: str, number: int) -> bool:
    """Return whether a table has more rows than a number; no more than these are counted."""
    query = sql.SQL("SELECT count(*) > {0} FROM (SELECT FROM {1} LIMIT {0} + 1) t")
    row = connection.execute(query.format(sql.Literal(number), identifier(table))).fetchone()
    return bool(row and row[0])
