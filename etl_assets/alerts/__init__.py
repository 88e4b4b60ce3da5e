"""Alerts: what people are told of, and how it reaches them.

``of_run``, ``of_checks`` and ``of_drift`` are called in the transaction that writes what they are about, so that an
alert is there exactly when its cause is. ``of_time`` looks for what only time tells, and ``send`` empties the outbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from etl_assets.alerts import rules as apply
from etl_assets.alerts.lifecycle import Evaluation, update_alerts
from etl_assets.alerts.sender import Dispatch, send
from etl_assets.model.alert import (
    CheckFailed,
    DriftOpened,
    NoDelivery,
    QuarantineAgeing,
    QuarantineGrowing,
    RejectedCount,
    RejectedShare,
    RunFailed,
    SlowRun,
    VolumeDrop,
)
from etl_assets.model.checks import VOLUME
from etl_assets.postgres.alerts import alerts, statistics

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from etl_assets.model.alert import AlertRule, Reason
    from etl_assets.model.check_result import CheckResult
    from etl_assets.model.drift import DriftEvent
    from etl_assets.model.run import RunEnd
    from etl_assets.postgres.connection import Connection

__all__ = ["Dispatch", "of_checks", "of_drift", "of_run", "of_time", "send"]

_TIMED: Final = (NoDelivery, QuarantineGrowing, QuarantineAgeing)


def of_run(connection: Connection, rules: Sequence[AlertRule], run: RunEnd) -> None:
    """Open or resolve what the end of a run is a reason for.

    A run that was cancelled is a reason for nothing, and mends nothing. What a replay did is told apart from what
    became of deliveries.
    """
    now = alerts.clock(connection)
    if run.status in {"failed", "crashed"}:
        evaluation = Evaluation({}, apply.of_failed_run(rules, run), "")
    elif run.status == "succeeded":
        evaluation = _of_success(connection, rules, run)
    else:
        return
    update_alerts(connection, rules, run.source, run.partition, evaluation, now, run.run_id)


def of_checks(
    connection: Connection,
    rules: Sequence[AlertRule],
    run_id: str,
    source: str,
    partition: str,
    delivery_id: int | None,
    results: Sequence[CheckResult],
) -> None:
    """Open or resolve what check results are a reason for."""
    volume = statistics.usual_volume(connection, source, delivery_id) if delivery_id is not None else None
    drops = apply.of_volume(rules, results, delivery_id, volume)
    reasons = [*drops, *apply.of_checks(rules, results, delivery_id, dropped=bool(drops))]
    names = frozenset(result.name for result in results)
    evaluated: dict[str, Collection[str] | None] = {CheckFailed.kind: names}
    if VOLUME in names:
        evaluated[VolumeDrop.kind] = None
    evaluation = Evaluation(evaluated, reasons, f"It is no longer so in run {run_id}.")
    update_alerts(connection, rules, source, partition, evaluation, alerts.clock(connection), run_id)


def of_drift(
    connection: Connection,
    rules: Sequence[AlertRule],
    source: str,
    partition: str,
    opened: Sequence[DriftEvent],
    closed: Sequence[DriftEvent],
) -> None:
    """Open or resolve what drift events are a reason for. Foreseen ones are not among them.

    Drift is of the source, whichever partition it was seen in, and so are the alerts.
    """
    reasons = apply.of_drift(rules, opened, partition)
    now = alerts.clock(connection)
    for event in closed:
        by = f" by {event.reviewer}" if event.reviewer else " by a later delivery"
        over = Evaluation(
            {DriftOpened.kind: {apply.drift_subject(event.change)}}, [], f"The drift is {event.status}{by}."
        )
        update_alerts(connection, rules, source, "", over, now)
    update_alerts(connection, rules, source, "", Evaluation({}, reasons, ""), now)


def of_time(connection: Connection, rules: Mapping[str, Sequence[AlertRule]], now: datetime) -> None:
    """Open or resolve what only time tells: deadlines that were missed, a quarantine that grows or ages.

    Args:
        connection: To the warehouse, outside a transaction: each source has one of its own.
        rules: By source.
        now: What time it is.
    """
    for source, of_source in rules.items():
        with connection.transaction():
            reasons = _of_clock(connection, source, of_source, now)
            evaluated = dict.fromkeys(kind.kind for kind in _TIMED)
            evaluation = Evaluation(evaluated, reasons, "It is no longer so.", again=False)
            update_alerts(connection, of_source, source, "", evaluation, now)


def _of_success(connection: Connection, rules: Sequence[AlertRule], run: RunEnd) -> Evaluation:
    """What a run that succeeded shows: of a replay only that it succeeded, of an empty one nothing of its records."""
    done = f"Run {run.run_id} succeeded."
    if run.replay:
        return Evaluation({RunFailed.kind: {apply.REPLAY}}, [], done)
    evaluated: dict[str, Collection[str] | None] = {RunFailed.kind: {""}, SlowRun.kind: None}
    reasons: list[Reason] = []
    if apply.those(rules, SlowRun):
        reasons += apply.of_slow_run(rules, run, statistics.usual_run(connection, run))
    if run.counts.read:
        evaluated |= {RejectedShare.kind: None, RejectedCount.kind: None}
        reasons += apply.of_rejected(rules, run)
    return Evaluation(evaluated, reasons, done)


def _of_clock(connection: Connection, source: str, rules: Sequence[AlertRule], now: datetime) -> list[Reason]:
    found = [
        *(
            apply.of_deadline(rule, statistics.last_delivery(connection, source), now)
            for rule in apply.those(rules, NoDelivery)
        ),
        *(
            apply.of_growth(rule, source, statistics.waiting(connection, source, since=now - rule.within))
            for rule in apply.those(rules, QuarantineGrowing)
        ),
        *(
            apply.of_age(rule, source, statistics.waiting(connection, source, before=now - rule.older_than))
            for rule in apply.those(rules, QuarantineAgeing)
        ),
    ]
    return [reason for reason in found if reason is not None]
