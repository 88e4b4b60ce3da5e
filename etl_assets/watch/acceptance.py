"""Accept a new level: what a person says is right becomes the usual, and the history before it no longer counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etl_assets.alerts import RECORDS, resolve_level
from etl_assets.model.level_change import SEVERAL
from etl_assets.postgres.watch import baselines
from etl_assets.watch.anomaly import ALL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from etl_assets.alerts import OpenLevel
    from etl_assets.model.alert import AlertRule
    from etl_assets.postgres.connection import Connection


def accept_level(
    connection: Connection,
    rules: Sequence[AlertRule],
    level: OpenLevel,
    reviewer: str,
    note: str = "",
    *,
    column: str = "",
    statistic: str = "",
) -> bool:
    """Make the level that a delivery brought the usual one, in a transaction.

    If many columns changed at once, and none is named, all columns are accepted as the newest delivery has them.

    Args:
        connection: To the warehouse.
        rules: Alert rules of the source.
        level: The open change.
        reviewer: Who accepts it.
        note: Why.
        column: Only this one of its columns; all of them if empty.
        statistic: Only this number; all numbers of the columns if empty.

    Returns:
        Whether its alert is resolved: not if only a part of it was accepted.
    """
    alert = level.alert
    columns = [name for name in level.columns if column in {"", name}] or [column]
    with connection.transaction():
        delivery = baselines.newest(connection, alert.source) if SEVERAL in columns else alert.delivery_id
        numbers = list(_numbers(columns, statistic))
        baselines.accept(connection, alert.source, numbers, delivery or 0, reviewer, note)
        is_whole = statistic in {"", level.statistic} and columns == list(level.columns)
        if is_whole:
            resolve_level(connection, rules, alert, f"The new level was accepted by {reviewer}.")
    return is_whole


def _numbers(columns: Iterable[str], statistic: str) -> Iterator[tuple[str, str]]:
    """Yield column and statistic as baselines have them: no column for the records, no statistic for all numbers."""
    special = {RECORDS: ("", RECORDS), SEVERAL: (ALL, "")}
    for column in columns:
        yield special.get(column, (column, statistic))
