"""Check the invariants of a database: run every query of `invariants`, and the checks that take several queries.

This module repairs nothing. Checks that also need the landing store or Dagster are elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from etl_assets.postgres.connection import planned_without
from etl_assets.postgres.ledger import retention
from etl_assets.postgres.ledger.delivery_invariants import HAS_A_KEY, OF_DELIVERIES
from etl_assets.postgres.ledger.invariants import (
    DELIVERY,
    NO_RUN_IS_ABANDONED,
    OF_A_TABLE,
    OF_THE_LEDGER,
    TABLES_ARE_THERE,
)
from etl_assets.postgres.ledger.key_comparisons import ABSENT_ROWS_ARE_AS_FOUND
from etl_assets.postgres.ledger.locks import held_lock_numbers, lock_number
from etl_assets.postgres.ledger.rebuilt import no_rebuild
from etl_assets.postgres.ledger.row_counts import ROW_COUNTS_ARE_THOSE_OF_THE_LEDGER
from etl_assets.postgres.ledger.structure import missing_constraints
from etl_assets.postgres.tables.history_table import history_of
from etl_assets.schema import BOOKKEEPING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.invariants import Violation

_CORE: Final = "core"
_LOADING: Final = (
    f"SELECT d.id, d.source, d.partition, {DELIVERY}, (SELECT f.epoch FROM etl.fence f WHERE f.source = "
    "d.source AND f.partition = d.partition) FROM etl.delivery d WHERE d.status = 'loading' "
    f"AND {no_rebuild('d.source')} ORDER BY d.id"
)


def examine(connection: Connection, declared: Mapping[str, str]) -> list[Violation]:
    """Find every violation of an invariant, in one snapshot of the database.

    Only tables that the ledger or a declaration names are examined; others are of another hand.

    Args:
        connection: In autocommit, to the warehouse; it is only read.
        declared: The table, ``schema.table``, of each declared source, by the source's name.

    Returns:
        The violations, by invariant; those of tables last.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        of_etl = (
            *OF_THE_LEDGER,
            *OF_DELIVERIES,
            ABSENT_ROWS_ARE_AS_FOUND,
            ROW_COUNTS_ARE_THOSE_OF_THE_LEDGER,
        )
        violations = [violation for invariant in of_etl for violation in invariant.examine(connection)]
        violations += missing_constraints(connection)
        present = loaded_tables(connection)
        sources = _sources_of_tables(connection, present)
        entered = _entered_tables(connection, present)
        violations += [
            TABLES_ARE_THERE.violation(
                f"table {table}", "is gone, or lacks its bookkeeping columns, and the ledger has deliveries of it"
            )
            for table in sorted(entered - set(present))
        ]
        for name, table in declared.items():
            sources.setdefault(table, [name])
        # without statistics, as after a first load, the planner would search the index of deliveries for each record
        with planned_without(connection, "bitmapscan"):
            for table in filter(sources.__contains__, present):
                for invariant in (*OF_A_TABLE, HAS_A_KEY):
                    violations += invariant.examine_table(connection, table, sources[table])
                violations += retention.expired_rows(connection, table, sources[table])
    return violations


def find_abandoned(connection: Connection) -> list[Violation]:
    """Find deliveries that are marked as being loaded although their run was killed.

    A run that begins or ends meanwhile is not reported. The loading deliveries are read before and after the locks; a
    delivery is reported if it has the same epoch both times and its partition is not locked in between.

    Args:
        connection: In autocommit, to the warehouse.
    """
    before = connection.execute(_LOADING).fetchall()
    locks = held_lock_numbers(connection)
    after = connection.execute(_LOADING).fetchall()
    return [
        NO_RUN_IS_ABANDONED.violation(
            subject, "is marked as being loaded, and no run is loading it: its run was killed"
        )
        for id_, source, partition, subject, epoch in before
        if (id_, source, partition, subject, epoch) in after and lock_number(source, partition) not in locks
    ]


def fetched_deliveries(connection: Connection) -> list[tuple[int, str, str, int]]:
    """Return what the landing store must have: each delivery's id, description, SHA-256 and size in bytes.

    Deliveries that an asset computed are left out: they were never fetched, and name the asset as their origin.
    """
    return connection.execute(
        f"SELECT d.id, {DELIVERY}, d.sha256, d.size FROM etl.delivery d "
        f"WHERE NOT starts_with(d.manifest ->> 'origin', 'asset ') AND {no_rebuild('d.source')} "
        "ORDER BY d.id"
    ).fetchall()


def loaded_tables(connection: Connection) -> list[str]:
    """Return the tables into which deliveries are loaded, ``schema.table``: those with the bookkeeping columns."""
    rows = connection.execute(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = ANY (%s) AND NOT a.attisdropped "
        "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition "
        "AND n.nspname NOT LIKE 'pg\\_%%' GROUP BY 1 HAVING count(*) = %s ORDER BY 1",
        (list(BOOKKEEPING), len(BOOKKEEPING)),
    ).fetchall()
    return [table for (table,) in rows]


def _sources_of_tables(connection: Connection, present: Collection[str]) -> defaultdict[str, list[str]]:
    """Return the tables that have deliveries, each with the source names of its deliveries."""
    sources: defaultdict[str, list[str]] = defaultdict(list)
    query = f"SELECT DISTINCT source FROM etl.delivery WHERE {no_rebuild()} ORDER BY 1"
    for (name,) in connection.execute(query).fetchall():
        sources[_table_of(name, present)].append(name)
    return sources


def _entered_tables(connection: Connection, present: Collection[str]) -> set[str]:
    """Return the tables that have ledger entries."""
    rows = connection.execute(
        "SELECT DISTINCT d.source FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id "
        f"WHERE {no_rebuild('d.source')}"
    ).fetchall()
    return {_table_of(name, present) for (name,) in rows}


def _table_of(name: str, present: Collection[str]) -> str:
    """Return the table of a source or asset: ``core.NAME`` of a source, the last two parts of an asset's name.

    If only the table of its versions is there, return that.
    """
    parts = name.split(".")
    table = ".".join(parts[-2:]) if len(parts) > 1 else f"{_CORE}.{name}"
    return history_of(table) if table not in present and history_of(table) in present else table
