"""Whether the promises hold in a database: asks every query of `promises`, and what takes more than one query.

Nothing is mended here. What needs the landing store or Dagster besides is asked elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from etl_assets.postgres.ledger.invariants import (
    DELIVERY,
    NO_RUN_IS_ABANDONED,
    OF_A_TABLE,
    OF_THE_LEDGER,
    TABLES_ARE_THERE,
)
from etl_assets.postgres.ledger.locks import held, lock_number
from etl_assets.schema import BOOKKEEPING

if TYPE_CHECKING:
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.invariants import Violation

_CORE: Final = "core"
_LOADING: Final = (
    f"SELECT d.id, d.source, d.partition, {DELIVERY}, (SELECT f.epoch FROM etl.fence f WHERE f.source = "
    "d.source AND f.partition = d.partition) FROM etl.delivery d WHERE d.status = 'loading' ORDER BY d.id"
)


def examine(connection: Connection) -> list[Violation]:
    """Find every place where a promise does not hold, as of one moment.

    Args:
        connection: In autocommit, to the warehouse; it is only read.

    Returns:
        The violations, by promise; those of tables last.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        found = [violation for invariant in OF_THE_LEDGER for violation in invariant.examine(connection)]
        delivered = _delivered(connection)
        present = tables(connection)
        found += [
            TABLES_ARE_THERE.broken(
                f"table {table}", "is gone, or lacks its bookkeeping columns, and the ledger has deliveries of it"
            )
            for table in sorted(delivered.keys() - present)
        ]
        for table in present:
            for invariant in OF_A_TABLE:
                found += invariant.examine_table(connection, table, delivered[table])
    return found


def abandoned(connection: Connection) -> list[Violation]:
    """Find deliveries whose run ended without a word.

    A run that ends or begins meanwhile is not mistaken for one: the question is asked before and after a look at the
    locks, and only a delivery that is loaded under the same epoch both times, unlocked in between, is told.

    Args:
        connection: In autocommit, to the warehouse.
    """
    before = connection.execute(_LOADING).fetchall()
    locks = held(connection)
    still = connection.execute(_LOADING).fetchall()
    return [
        NO_RUN_IS_ABANDONED.broken(subject, "is marked as being loaded, and nobody is at it: its run was killed")
        for id_, source, partition, subject, epoch in before
        if (id_, source, partition, subject, epoch) in still and lock_number(source, partition) not in locks
    ]


def frozen(connection: Connection) -> list[tuple[str, str, int]]:
    """What the landing store must have: each fetched delivery in words, the SHA-256 of its bytes, and their number.

    What an asset computed was never fetched; its delivery names the asset as its origin.
    """
    rows = connection.execute(
        f"SELECT {DELIVERY}, d.sha256, d.size FROM etl.delivery d "
        "WHERE NOT starts_with(d.manifest ->> 'origin', 'asset ') "
        "ORDER BY d.id"
    ).fetchall()
    return [(delivery, sha256, size) for delivery, sha256, size in rows]


def tables(connection: Connection) -> list[str]:
    """The tables that deliveries end in, ``schema.table``: those that have the bookkeeping columns."""
    rows = connection.execute(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = ANY (%s) AND NOT a.attisdropped "
        "WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%%' GROUP BY 1 HAVING count(*) = %s ORDER BY 1",
        (list(BOOKKEEPING), len(BOOKKEEPING)),
    ).fetchall()
    return [table for (table,) in rows]


def _delivered(connection: Connection) -> defaultdict[str, list[str]]:
    """The tables that the ledger has lines of, each with the names under which it was delivered."""
    rows = connection.execute(
        "SELECT DISTINCT d.source FROM etl.batch b JOIN etl.delivery d ON d.id = b.delivery_id ORDER BY 1"
    ).fetchall()
    found: defaultdict[str, list[str]] = defaultdict(list)
    for (name,) in rows:
        found[_table_of(name)].append(name)
    return found


def _table_of(name: str) -> str:
    """The table that deliveries of a name end in: a source's in ``core``, an asset's in the one of its last parts."""
    parts = name.split(".")
    return ".".join(parts[-2:]) if len(parts) > 1 else f"{_CORE}.{name}"
