"""Compares the database with the declared sources: ranks of deliveries, keys and constraints of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets.postgres.ledger import deliveries
from etl_assets.postgres.ledger.delivery_invariants import CONSTRAINTS_ARE_THERE, DELIVERIES_ARE_AS_ENTERED
from etl_assets.postgres.ledger.invariants import Invariant
from etl_assets.postgres.ledger.rereading import loaded_deliveries
from etl_assets.postgres.tables import ddl, marks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.ledger.invariants import Violation
    from etl_assets.source import Source


VERSIONS_FOLLOW: Final = Invariant(
    "versions_follow_one_another",
    "A version whose place an order column decides ends where the next one of its key begins, and the last one is "
    "current",
    "Somebody changed the table by hand: `etl-assets rebuild NAME --verify` shows what, and `etl-assets rebuild NAME "
    "--swap` puts it right",
)


def compare_declarations(connection: Connection, sources: Iterable[Source]) -> Iterator[Violation]:
    """Yield the places where the database differs from the declarations.

    Args:
        connection: In autocommit, to the warehouse.
        sources: The declarations.
    """
    for source in sources:
        yield from _ranks(connection, source)
        yield from _structure(connection, source)


def _ranks(connection: Connection, source: Source) -> Iterator[Violation]:
    """Compare the rank of each delivery with that of its partition; partitions that are not declared are left out."""
    for subject, partition, rank in deliveries.ranks(connection, source.name):
        try:
            declared = source.partition(partition).rank
        except ValueError:
            continue
        if rank != declared:
            yield DELIVERIES_ARE_AS_ENTERED.violation(subject, f"has the rank {rank!r}, and its partition {declared!r}")


def _structure(connection: Connection, source: Source) -> Iterator[Violation]:
    """Compare the table with the schema, if it was loaded under this declaration; the next load changes any other."""
    if not deliveries.any_loaded(connection, source.name, source.fingerprint):
        return
    table = source.stored_table
    if ddl.exists(connection, table):
        problems = ddl.differences(connection, table, source.row_schema, source.extension)
        if source.write.marks:
            problems += marks.view_differences(connection, table)
        if table != source.table and not ddl.has_partial_index(connection, table, source.schema.key):
            problems.append("lacks the unique index of the current versions, which the next load makes again")
        for problem in problems:
            yield CONSTRAINTS_ARE_THERE.violation(f"table {table}", problem)
        loaded = loaded_deliveries(connection, source.name, source.fingerprint)
        if not problems and all(delivery.current for delivery in loaded):
            for problem in source.writer.differences(connection, source.table, source.row_schema):
                yield VERSIONS_FOLLOW.violation(f"table {table}", problem)
