"""The row of a run in ``etl.run``, and its check results in ``etl.check_result``, for people who query with SQL.

One row spans landing, core and quarantine of a source partition: the first of these steps that the run executes begins
it, and the last ends it. The alerts are written in the same transactions. Dagster decides by its own event log, not by
these tables.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import dagster as dg

from etl_assets import alerts, logs
from etl_assets.errors import LoadError, SettingsError
from etl_assets.graph.keys import asset_keys
from etl_assets.model.alert import DEFAULT_ALERTS
from etl_assets.model.run import CANCELLED, RunKey
from etl_assets.postgres.connection import in_session, in_transaction
from etl_assets.postgres.runs import history, liveness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from etl_assets.model.alert import AlertRule
    from etl_assets.model.check_result import CheckResult
    from etl_assets.model.run import RunEnd
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.runs.standing import Standing
    from etl_assets.source import Source

RUN_RETRY_TAG: Final = "dagster/retry_number"
ASKED_TO_END: Final = "A person or the machine asked the run to end before it was complete."
_LOG: Final = logging.getLogger(__name__)
_INTERRUPTS: Final = (KeyboardInterrupt, dg.DagsterExecutionInterruptedError)


@dataclass(frozen=True)
class RunRecord:
    """One step of a run of one source partition; it enters the run in the history.

    Attributes:
        url: URL of the warehouse.
        run_id: Dagster's id of the run.
        source: Name of the source.
        partition: Key of the partition.
        rules: The alert rules for the end of the run.
        step: The step: ``landing``, ``core`` or ``quarantine`` of a source; ``asset`` or ``replay`` otherwise.
        job: Name of Dagster's job.
        attempt: Number of the attempt of the whole run, from 1.
        again: Whether the step is a retry.
        last: Whether the step is the run's last one for the source partition.
        declaration: Fingerprint of what decides how the run ends, besides the delivery; None for no source.
        began: When the step began, in seconds of this process's performance counter.
    """

    url: str = field(repr=False)
    run_id: str
    source: str
    partition: str
    rules: tuple[AlertRule, ...] = ()
    step: str = ""
    job: str = ""
    attempt: int = 1
    again: bool = False
    last: bool = True
    declaration: str | None = None
    began: float = field(default_factory=time.perf_counter, repr=False, compare=False)

    @classmethod
    def of(cls, url: str, run: dg.DagsterRun, source: Source | str, partition: str, step: str, tries: int = 0) -> Self:
        """Return the record of a step.

        Args:
            url: URL of the warehouse.
            run: Dagster's run.
            source: The declaration; for an asset written by hand, the name of its deliveries.
            partition: Key of the partition.
            step: The step.
            tries: How often this run has tried the step before.
        """
        attempt = 1 + int(run.tags.get(RUN_RETRY_TAG, "0"))
        if isinstance(source, str):
            return cls(url, run.run_id, source, partition, DEFAULT_ALERTS, step, run.job_name, attempt, again=tries > 0)
        rules, declaration = source.alert_rules, source.verdict_fingerprint
        record = cls(url, run.run_id, source.name, partition, rules, step, run.job_name, attempt, again=tries > 0)
        return replace(record, declaration=declaration)

    @property
    def key(self) -> RunKey:
        """The key of the run and the source partition."""
        return RunKey(self.run_id, self.source, self.partition)

    def start(self) -> None:
        """Enter that the run starts or continues. From now on it counts as alive as long as its process lives."""
        logs.about(run=self.run_id, source=self.source, partition=self.partition, attempt=self.attempt)
        liveness.appear(self.url, self.run_id, (self.source, self.partition))
        in_transaction(
            self.url,
            partial(
                history.run_started,
                key=self.key,
                step=self.step,
                job=self.job,
                host=socket.gethostname(),
                process=os.getpid(),
                attempt=self.attempt,
                again=self.again,
                declaration=self.declaration,
            ),
        )

    def end(
        self,
        delivery_id: int | None = None,
        seconds: Mapping[str, float] | None = None,
        results: Sequence[CheckResult] = (),
    ) -> None:
        """Enter that the step succeeded; if it is the last one, enter that the run succeeded.

        Args:
            delivery_id: Id of the newest delivery concerned.
            seconds: Seconds by phase; the seconds of the step are added.
            results: Check results that were not entered before.
        """
        spent = {**(seconds or {}), self.step: time.perf_counter() - self.began}

        def enter(connection: Connection) -> RunEnd | None:
            if results:
                enter_checks(connection, self.rules, self.key, delivery_id, results)
            if self.last:
                return history.run_succeeded(connection, self.key, delivery_id=delivery_id, seconds=spent)
            history.step_ended(connection, self.key, delivery_id=delivery_id, seconds=spent)
            return None

        if self.last:
            self._enter_end(enter)
        elif results:
            in_transaction(self.url, enter)
        else:
            in_session(self.url, enter)

    def unchanged(self, standing: Standing) -> None:
        """Enter that the run succeeded at once because there is nothing to do, and which verdict stands."""
        declaration = self.declaration or ""
        self._enter_end(lambda connection: history.run_unchanged(connection, self.key, standing, declaration))

    @contextmanager
    def entering_errors(self, retried: tuple[type[Exception], ...] = ()) -> Iterator[None]:
        """Enter that the run failed or was cancelled if the block raises an error, and raise the error again.

        Args:
            retried: Errors after which Dagster retries the step, so that the run is not over.
        """
        try:
            yield
        except _INTERRUPTS:
            with _leaving_to_the_reaper(ASKED_TO_END):
                self._enter_end(self._enter_cancelled)
            raise
        except Exception as error:
            with _leaving_to_the_reaper(history.error_text(error)):
                self._enter_failed(error, again=isinstance(error, retried))
            raise

    def checks(self, delivery_id: int | None, results: Sequence[CheckResult]) -> None:
        """Enter check results."""
        in_transaction(
            self.url, lambda connection: enter_checks(connection, self.rules, self.key, delivery_id, results)
        )

    def refused(self, delivery_id: int, results: Sequence[CheckResult]) -> None:
        """Enter the delivery that the step refuses, with the check results that say why."""

        def enter(connection: Connection) -> None:
            history.step_ended(connection, self.key, delivery_id=delivery_id)
            enter_checks(connection, self.rules, self.key, delivery_id, results)

        in_transaction(self.url, enter)

    def _enter_failed(self, error: Exception, *, again: bool) -> None:
        if not again:
            name, text = type(error).__name__, history.error_text(error)
            self._enter_end(lambda connection: history.run_failed(connection, self.key, name, text, step=self.step))
            return
        in_session(self.url, lambda connection: history.step_failed(connection, self.key, error))

    def _enter_cancelled(self, connection: Connection) -> RunEnd | None:
        return history.run_interrupted(
            connection, self.key, "cancelled", ASKED_TO_END, error_class=CANCELLED, step=self.step
        )

    def _enter_end(self, enter: Callable[[Connection], RunEnd | None]) -> None:
        def enter_with_alerts(connection: Connection) -> None:
            end = enter(connection)
            if end is not None:
                alerts.update_for_run(connection, self.rules, end)

        try:
            in_transaction(self.url, enter_with_alerts)
        finally:
            liveness.leave(self.url, self.run_id, (self.source, self.partition))
            logs.about()


@contextmanager
def _leaving_to_the_reaper(end: str) -> Iterator[None]:
    """Log how a run ended if the block cannot enter it; the reaper enters it later."""
    try:
        yield
    except (SettingsError, LoadError) as error:
        _LOG.error("The end of the run cannot be entered now; the next command or sensor enters it. %s %s", end, error)


def assets_of_run(context: dg.AssetExecutionContext, source: Source) -> tuple[dg.AssetKey, ...]:
    """Return the keys of the assets of a source that a run materializes, in their order."""
    selected, steps = context.job_def.asset_layer.selected_asset_keys, context.run.step_keys_to_execute
    return tuple(
        key
        for key in asset_keys(source.name)
        if key in selected and (steps is None or key.to_python_identifier() in steps)
    )


def record_of_asset(
    url: str, context: dg.AssetExecutionContext, source: Source, partition: str, asset: dg.AssetKey
) -> RunRecord:
    """Return the record of a step that materializes an asset of a source.

    Args:
        url: URL of the warehouse.
        context: Context of Dagster's step.
        source: The declaration.
        partition: Key of the partition.
        asset: Key of the asset.
    """
    last = asset == assets_of_run(context, source)[-1]
    tries = context.op_execution_context.retry_number
    return replace(RunRecord.of(url, context.run, source, partition, asset.path[0], tries), last=last)


def enter_checks(
    connection: Connection,
    rules: tuple[AlertRule, ...],
    key: RunKey,
    delivery_id: int | None,
    results: Sequence[CheckResult],
) -> None:
    """Enter check results, and the alerts for them, in the present transaction."""
    history.enter_check_results(connection, *key.values, delivery_id, results)
    alerts.update_for_checks(connection, rules, *key.values, delivery_id, results)
