"""Materializes many partitions of a source in one step: one after the other, and one that fails, fails alone.

A run of a range of partitions has the same steps as a run of one. Dagster would materialize all its partitions when a
step yields an output, also those that failed. Therefore the first step of the run does the work of all, logs what each
partition would have reported by itself, and yields nothing; Dagster skips the other steps.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from etl_assets.errors import LoadError
from etl_assets.graph.assets import expectations
from etl_assets.graph.assets.check_results import asset_check_evaluation
from etl_assets.graph.assets.partition_steps import PartitionStep, count_waiting, land, load
from etl_assets.graph.assets.stream import load_stream
from etl_assets.graph.assets.touched import CODE_VERSION, DATA_VERSION
from etl_assets.graph.keys import core_key
from etl_assets.graph.partitions import check_key, in_load_order
from etl_assets.graph.run_config import SourceConfig
from etl_assets.graph.runs.one_by_one import description, is_of_all
from etl_assets.graph.runs.retries import RETRIES, TRANSIENT_FETCH, retried_errors, retrying
from etl_assets.graph.runs.run_record import RunRecord, assets_of_run, record_of_asset
from etl_assets.graph.targets import newest_materializations
from etl_assets.model.check_result import CheckResult
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.runs import history
from etl_assets.source import CORE, LANDING, QUARANTINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.graph.assets.partition_steps import Materialize
    from etl_assets.landing import Warehouse
    from etl_assets.model.partitions import Partition
    from etl_assets.source import Source

_STEPS: Final[Mapping[str, Materialize]] = {LANDING: land, CORE: load, QUARANTINE: count_waiting}
_TOGETHER: Final = 10
"""Dagster stores the results of the checks of so many partitions together."""
_MOST_NAMED: Final = 5
"""The error of the run names so many of the partitions that failed; the log and the history have all."""


class PartitionRange:
    """The partitions of a run that has a range of them.

    Args:
        source: The declaration.
        context: Of the first step of the run that materializes an asset of the source.
    """

    def __init__(self, source: Source, context: dg.AssetExecutionContext) -> None:
        self._source = source
        self._context = context
        self._assets = assets_of_run(context, source)
        self._warehouse: Warehouse = context.resources.warehouse.open()
        self._tries = context.op_execution_context.retry_number
        self._began = _newest_event(context.instance)
        self._checks: list[tuple[dg.AssetKey, str, CheckResult]] = []
        self._failed: dict[str, Exception] = {}

    def materialize(self) -> None:
        """Materialize the partitions, those that wait to be reloaded last.

        If the step is tried again, it leaves out the partitions that are done.

        Raises:
            LoadError: After the last partition, if some failed.
            EtlAssetsError: At once, if all other partitions would fail too.
        """
        config = SourceConfig.of(self._context.run, self._source.name)
        if config.file is not None or config.batches:
            raise LoadError(
                "A file or batches belong to one partition, and the run has a range of them. Nothing was written. Run "
                "one partition by itself."
            )
        keys, ended = in_session(
            self._warehouse.url,
            lambda session: (
                in_load_order(session, self._source, self._context.partition_keys),
                history.entered_runs(session, self._context.run.run_id),
            ),
        )
        statuses = {key.partition: status for key, (status, _) in ended.items() if key.source == self._source.name}
        waiting = [key for key in keys if statuses.get(key) not in {"succeeded", "failed"}]
        with retrying(self._tries, TRANSIENT_FETCH):
            for first in range(0, len(waiting), _TOGETHER):
                self._materialize_some(waiting[first : first + _TOGETHER])
            transient = [error for error in self._failed.values() if isinstance(error, TRANSIENT_FETCH)]
            if transient and self._tries < RETRIES:
                raise transient[0]
        failures = {key: description(error) for key, error in self._failed.items()}
        failures |= {key: "see its run history" for key, status in statuses.items() if status == "failed"}
        if failures:
            raise self._error(failures, len(keys))

    def _materialize_some(self, keys: Sequence[str]) -> None:
        """Materialize some partitions: all of their assets but the last, then log their checks, then the last.

        The last asset enters that a partition succeeded. Before that, Dagster must have the checks: if the run is
        killed between the two, what is downstream would wait for them for ever. Dagster stores them for some partitions
        together, since that costs about as much as for one.
        """
        try:
            loaded = [key for key in keys if self._try(key, self._assets[:-1])]
        finally:
            self._log_checks()
        try:
            for key in loaded:
                self._try(key, self._assets[-1:])
        finally:
            self._log_checks()

    def _try(self, key: str, assets: Sequence[dg.AssetKey]) -> bool:
        """Materialize assets of a partition; remember its error, unless the others would fail too.

        Returns:
            Whether the next asset is to be materialized, which it is not after an error or if there is nothing to do.
        """
        try:
            partition = self._source.partition(check_key(key))
            return all(self._materialize(asset, partition) for asset in assets)
        except Exception as error:
            if is_of_all(error):
                raise
            self._failed[key] = error
            text = "%s failed, and the others go on. %s."
            self._context.log.error(text, key, description(error))  # noqa: TRY400 -- the run shows it when it ends
            return False

    def _materialize(self, asset: dg.AssetKey, partition: Partition) -> bool:
        """Materialize one asset of a partition; return whether it was, which it is not if there is nothing to do."""
        record = record_of_asset(self._warehouse.url, self._context, self._source, partition.key, asset)
        record.start()
        step = PartitionStep(self._source, partition, self._context, self._warehouse, record)
        materialized = False
        for report in _STEPS[asset.path[0]](step):
            if isinstance(report, CheckResult):
                self._checks.append((asset, partition.key, report))
                continue
            materialized = True
            shown: Mapping[str, Any]
            if isinstance(report, dg.Output):
                shown = load_stream(report.value, self._warehouse, record, self._tries)
                version = report.value.reports[-1].delivery.manifest.sha256
            else:
                shown = report.metadata or {}
                version = report.data_version.value if report.data_version else record.run_id
            code_version = self._context.job_def.asset_layer.get(asset).code_version or ""
            tags = {CODE_VERSION: code_version, DATA_VERSION: version}
            event = dg.AssetMaterialization(asset, partition=partition.key, metadata=shown, tags=tags)
            self._context.log_event(event)
        if self._source.expectations and asset == core_key(self._source.name):
            self._validate(partition)
        return materialized

    def _validate(self, partition: Partition) -> None:
        """Validate the expectations of the source for one partition."""
        url, run = self._warehouse.url, self._context.run
        record = RunRecord.of(url, run, self._source, partition.key, expectations.PHASE, self._tries)
        with record.entering_errors(retried_errors(self._tries)):
            for result in expectations.validated(self._source, record):
                self._checks.append((core_key(self._source.name), partition.key, result))

    def _log_checks(self) -> None:
        """Log the results of checks that wait, with the materializations to which they refer, and have them stored."""
        if not self._checks:
            return
        instance = self._context.instance
        wanted: defaultdict[dg.AssetKey, list[str]] = defaultdict(list)
        for asset, key, _ in self._checks:
            wanted[asset].append(key)
        targets = {
            asset: newest_materializations(instance, asset, dict.fromkeys(keys), self._began)
            for asset, keys in wanted.items()
        }
        for asset, key, result in self._checks:
            self._context.log_event(asset_check_evaluation(result, asset, key, targets[asset].get(key)))
        self._checks.clear()
        _newest_event(instance)  # a read, before which the storage writes the events that it keeps back

    def _error(self, failures: Mapping[str, str], partitions: int) -> LoadError:
        named = "; ".join(f"{key}: {text}" for key, text in list(failures.items())[:_MOST_NAMED])
        more = f"; and {len(failures) - _MOST_NAMED} more" if len(failures) > _MOST_NAMED else ""
        return LoadError(
            f"{len(failures)} of {partitions} partitions of source {self._source.name!r} failed, and the others are "
            f"done. {named}{more}. Nothing is lost: run the failed partitions again when the cause is gone."
        )


def _newest_event(instance: dg.DagsterInstance) -> int:
    """Return the id of the newest event of any run."""
    return instance.event_log_storage.get_maximum_record_id() or 0
