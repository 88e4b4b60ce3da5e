"""Alerts: what people are told of, and how it reaches them.

Each ``of_…`` is called in the transaction that writes what it is about, so that an alert is there exactly when its
cause is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.alert import AlertRule
    from etl_assets.model.drift import DriftEvent
    from etl_assets.model.run import RunEnd
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.history import CheckRow


def of_run(connection: Connection, rules: Sequence[AlertRule], run: RunEnd) -> None:
    """Open or resolve what the end of a run is a reason for."""


def of_checks(
    connection: Connection,
    rules: Sequence[AlertRule],
    run_id: str,
    source: str,
    partition: str,
    delivery_id: int | None,
    results: Sequence[CheckRow],
) -> None:
    """Open or resolve what check results are a reason for."""


def of_drift(
    connection: Connection,
    rules: Sequence[AlertRule],
    source: str,
    partition: str,
    opened: Sequence[DriftEvent],
    closed: Sequence[DriftEvent],
) -> None:
    """Open or resolve what drift events are a reason for. Foreseen ones are not among them."""
