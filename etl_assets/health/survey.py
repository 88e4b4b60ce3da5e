"""Reads what the health of every declared table is judged by, and judges it."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from etl_assets.health.judgement import WORST_FIRST, judge, judge_broken
from etl_assets.postgres.alerts.alerts import clock
from etl_assets.postgres.health.facts import Facts, facts
from etl_assets.postgres.ledger import deliveries

if TYPE_CHECKING:
    from etl_assets.catalog import Catalog
    from etl_assets.health.judgement import TableHealth
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source


def survey(connection: Connection, known: Catalog) -> list[TableHealth]:
    """Return the health of the table of every declared source, and of every file that does not load, worst first.

    Args:
        connection: To the warehouse; role ``etl_reader`` may read all that is needed.
        known: The declarations.
    """
    now = clock(connection).astimezone(UTC)
    by_source = facts(connection)
    tables = [
        judge(source, by_source.get(name), _stale(connection, source) if name in by_source else (), now)
        for name, source in known.sources.items()
    ]
    tables += [judge_broken(file, by_source.get(file.name, Facts())) for file in known.broken.values()]
    return sorted(tables, key=lambda table: (WORST_FIRST.index(table.health), table.name))


def _stale(connection: Connection, source: Source) -> tuple[str, ...]:
    """Return the partitions of a source with a delivery to reload."""
    stale = deliveries.stale(connection, source.name, source.fingerprint)
    return tuple(sorted({delivery.partition for delivery in stale}))
