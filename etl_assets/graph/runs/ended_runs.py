"""Enters in the run history what it lacks of a run that has ended in Dagster.

Most runs enter themselves, by their `RunRecord`. Three kinds do not: runs that ended before their first step, runs that
were ended from outside, and assets and asset checks that were written by hand. This module reads them from Dagster's
event log and enters them as the run would have done. It may be called any number of times.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from etl_assets import alerts, errors
from etl_assets.graph.keys import REPLAY, REPLAY_STEP, delivered_as
from etl_assets.graph.runs.rules_table import rule_results
from etl_assets.graph.runs.run_record import ASKED_TO_END, enter_checks
from etl_assets.model.alert import DEFAULT_ALERTS
from etl_assets.model.check_result import CheckResult
from etl_assets.model.run import CANCELLED, RunKey
from etl_assets.postgres.runs import history
from etl_assets.source import LANDING, QUARANTINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.model.alert import AlertRule
    from etl_assets.model.run import RunFault
    from etl_assets.postgres.connection import Connection
    from etl_assets.source import Source

PARTITION_TAG: Final = "dagster/partition"
FAILURE_REASON_TAG: Final = "dagster/failure_reason"
NOT_STARTED: Final = "NotStarted"
"""Used in place of an error's class if a run failed before its first step."""
_BY_HAND: Final = "Dagster shows what it found."
"""Used in place of a check's description, which may contain record contents."""


@dataclass(frozen=True)
class _Fault:
    """Why a run did not succeed. If `complete` is true, nothing is added to the text."""

    status: RunFault
    error_class: str
    text: str
    complete: bool = False


def reconcile(
    connection: Connection, instance: dg.DagsterInstance, ended: dg.RunRecord, sources: Mapping[str, Source]
) -> None:
    """Enter what the history lacks of a run: its rows, its check results, and the alerts for them.

    Args:
        connection: Connection to the warehouse, in autocommit.
        instance: The instance of Dagster that has the run.
        ended: The run, as Dagster has it. Nothing is entered for a run that has not ended.
        sources: All known sources, by name.
    """
    run = ended.dagster_run
    if not run.is_finished:
        return
    with connection.transaction():
        history.lock_run(connection, run.run_id)
        _reconcile_runs(connection, instance, ended, sources)
        _reconcile_checks(connection, instance, run, sources)


def rules_of(sources: Mapping[str, Source], name: str) -> tuple[AlertRule, ...]:
    """Return the alert rules of a source; the default ones for an asset that was written by hand."""
    return sources[name].alert_rules if name in sources else DEFAULT_ALERTS


def _reconcile_runs(
    connection: Connection, instance: dg.DagsterInstance, ended: dg.RunRecord, sources: Mapping[str, Source]
) -> None:
    run = ended.dagster_run
    entered = history.entered_runs(connection, run.run_id)
    open_ = [key for key, (status, _) in entered.items() if status == "started"]
    planned = _planned(instance, run, sources)
    missing = {key: steps for key, steps in planned.items() if key not in entered}
    if not open_ and not missing:
        return
    failures = _failures(instance, run)
    fault = None if run.status == dg.DagsterRunStatus.SUCCESS else _fault(instance, run, failures)
    if fault is not None and failures:
        missing = _with_failed_step(missing, planned, {step for step, _ in failures})
    for key in missing:
        history.run_started(connection, key, job=run.job_name, at=_time(ended.start_time) or ended.create_timestamp)
    for key in [*open_, *missing]:
        _end(connection, key, fault, rules_of(sources, key.source), _time(ended.end_time))


def _end(
    connection: Connection, key: RunKey, fault: _Fault | None, rules: tuple[AlertRule, ...], at: datetime | None
) -> None:
    if fault is None:
        end = history.run_succeeded(connection, key, at=at)
    elif fault.complete:
        end = history.run_failed(connection, key, fault.error_class, fault.text, at=at)
    else:
        end = history.run_interrupted(connection, key, fault.status, fault.text, error_class=fault.error_class, at=at)
    if end is not None:
        alerts.update_for_run(connection, rules, end)


def _planned(
    instance: dg.DagsterInstance, run: dg.DagsterRun, sources: Mapping[str, Source]
) -> dict[RunKey, frozenset[str]]:
    """Return the source partitions that a run was to materialize or replay, each with its steps."""
    if run.job_name == REPLAY:
        ops: Any = run.run_config.get("ops", {})
        config = ops.get(REPLAY_STEP, {}).get("config", {})
        return {RunKey(run.run_id, config["source"], ""): frozenset({REPLAY_STEP})} if "source" in config else {}
    planned: dict[RunKey, frozenset[str]] = {}
    for event in _events(instance, run, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED):
        plan = event.asset_materialization_planned_data
        subset = plan.partitions_subset
        partitions = subset.get_partition_keys() if subset is not None else [plan.partition or ""]
        for partition in partitions:
            key = RunKey(run.run_id, _name_of(plan.asset_key, sources), partition)
            planned[key] = planned.get(key, frozenset()) | {plan.asset_key.to_python_identifier()}
    return planned


def _with_failed_step(
    missing: Mapping[RunKey, frozenset[str]], planned: Mapping[RunKey, frozenset[str]], failed: set[str]
) -> dict[RunKey, frozenset[str]]:
    """Return the missing keys that have a failed step; all missing keys if no failed step is named like an asset."""
    if not any(steps & failed for steps in planned.values()):
        return dict(missing)
    return {key: steps for key, steps in missing.items() if steps & failed}


def _fault(
    instance: dg.DagsterInstance, run: dg.DagsterRun, failures: Sequence[tuple[str, tuple[str, str, bool]]]
) -> _Fault:
    asked_to_end = run.tags.get(FAILURE_REASON_TAG) == "UNEXPECTED_TERMINATION"
    if run.status == dg.DagsterRunStatus.CANCELED or asked_to_end:
        return _Fault("cancelled", CANCELLED, ASKED_TO_END)
    if failures:
        _, (name, text, complete) = failures[0]
        return _Fault("failed", name, text, complete)
    if not _events(instance, run, dg.DagsterEventType.STEP_START):
        return _Fault("failed", NOT_STARTED, "The run ended before its first step; its log in Dagster shows why.")
    return _Fault("crashed", history.CRASHED, "Dagster found that the process of the run is gone.")


def _failures(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[tuple[str, tuple[str, str, bool]]]:
    """Return the failed steps, each with the class of its error, the text, and whether the text is complete."""
    failures = []
    for event in _events(instance, run, dg.DagsterEventType.STEP_FAILURE):
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        name = (error.cls_name if error is not None else None) or "Failure"
        kind = getattr(errors, name, None)
        if error is not None and isinstance(kind, type) and issubclass(kind, errors.EtlAssetsError):
            text = error.message.strip().removeprefix(f"{errors.__name__}.{name}: ")
            failures.append((event.step_key or "", (name, text, True)))
        else:
            failures.append((event.step_key or "", (name, history.FOREIGN_ERROR_TEXT, True)))
    return failures


def _reconcile_checks(
    connection: Connection, instance: dg.DagsterInstance, run: dg.DagsterRun, sources: Mapping[str, Source]
) -> None:
    if history.is_unchanged(connection, run.run_id):
        return  # they were entered by the run whose verdict stands
    entered = history.entered_checks(connection, run.run_id)
    missing: dict[RunKey, list[CheckResult]] = {}
    for key, result in _evaluations(instance, run, sources):
        place = (key.source, key.partition, result.name)
        if entered[place]:
            entered[place] -= 1
        else:
            missing.setdefault(key, []).append(result)
    if not missing:
        return
    runs = history.entered_runs(connection, run.run_id)
    for key, results in missing.items():
        _, delivery_id = runs.get(key, ("", None))
        enter_checks(connection, rules_of(sources, key.source), key, delivery_id, results)


def _evaluations(
    instance: dg.DagsterInstance, run: dg.DagsterRun, sources: Mapping[str, Source]
) -> Iterator[tuple[RunKey, CheckResult]]:
    for event in _events(instance, run, dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        evaluation = event.asset_check_evaluation_data
        partition = evaluation.partition or run.tags.get(PARTITION_TAG, "")
        name = _name_of(evaluation.asset_key, sources)
        consented = _rules_by_consent(sources.get(name))
        for result in rule_results(evaluation.metadata) or [_result_of(evaluation)]:
            yield RunKey(run.run_id, name, partition), replace(result, by_consent=result.name in consented)


def _result_of(evaluation: dg.AssetCheckEvaluation) -> CheckResult:
    return CheckResult(
        evaluation.check_name,
        passed=evaluation.passed,
        blocking=bool(evaluation.blocking),
        description="" if evaluation.passed else _BY_HAND,
    )


def _rules_by_consent(source: Source | None) -> set[str]:
    """Return the names of the rules that records may break within ``max_rejected``."""
    return set() if source is None else {rule.name for rule in source.rules if rule.by_consent}


def _name_of(key: dg.AssetKey, sources: Mapping[str, Source]) -> str:
    """Return the name under which runs of an asset are entered; all assets of a source have one name."""
    if len(key.path) == 2 and key.path[0] in {LANDING, QUARANTINE} and key.path[1] in sources:  # noqa: PLR2004
        return key.path[1]
    return delivered_as(key)


def _events(instance: dg.DagsterInstance, run: dg.DagsterRun, type_: dg.DagsterEventType) -> list[Any]:
    records = instance.get_records_for_run(run.run_id, of_type=type_).records
    events = (record.event_log_entry.dagster_event for record in records)
    return [event for event in events if event is not None]


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
