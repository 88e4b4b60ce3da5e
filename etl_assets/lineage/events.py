"""The events of a run of a source partition: that it began, and how it ended."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    data_quality_assertions_dataset,
    data_quality_metrics_input_dataset,
    error_message_run,
    output_statistics_output_dataset,
    parent_run,
    schema_dataset,
)

from etl_assets.extract.file import FileExtractor
from etl_assets.extract.rest.extractor import RestExtractor
from etl_assets.lineage.datasets import published, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.lineage.datasets import Dataset
    from etl_assets.postgres.runs.ended import EndedRun
    from etl_assets.source import Source

PRODUCER: Final = "https://github.com/etl-assets/etl-assets"
_ENDS: Final = {
    "succeeded": RunState.COMPLETE,
    "failed": RunState.FAIL,
    "crashed": RunState.FAIL,
    "cancelled": RunState.ABORT,
}


def events_of(
    run: EndedRun, checks: Sequence[tuple[str, bool]], source: Source | None, url: str
) -> tuple[RunEvent, RunEvent]:
    """Return the event of a run's start, and that of its end.

    Args:
        run: The run of a source partition.
        checks: Its checks and rules, with whether they passed.
        source: The declaration; None of an asset that was written by hand, or of a source that is no more.
        url: Of the warehouse.
    """
    namespace = os.environ.get("OPENLINEAGE_NAMESPACE", "").strip() or "etl_assets"
    job = Job(namespace, run.source)
    facets: dict[str, Any] = {
        "parent": parent_run.ParentRunFacet(
            run=parent_run.Run(run.run_id), job=parent_run.Job(namespace, run.job or run.source), producer=PRODUCER
        )
    }
    id_ = str(uuid5(UUID(run.run_id), f"{run.source}/{run.partition}"))
    place = _place(source) or run.origin
    inputs = [] if place is None else [_input(published(place), run, checks, source)]
    outputs = [_output(table(url, source.table if source else run.source), run, source, inputs)]
    start = RunEvent(
        eventTime=run.started_at.isoformat(),
        eventType=RunState.START,
        run=Run(id_, dict(facets)),
        job=job,
        producer=PRODUCER,
    )
    if run.error_class:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=f"{run.error_class}: {run.error or ''}", programmingLanguage="PYTHON", producer=PRODUCER
        )
    end = RunEvent(
        eventTime=run.ended_at.isoformat(),
        eventType=_ENDS[run.status],
        run=Run(id_, facets),
        job=job,
        inputs=inputs,
        outputs=outputs,
        producer=PRODUCER,
    )
    return start, end


def _place(source: Source | None) -> str | None:
    """Return the declared place of a feed, with its placeholders; None if it is only known where a delivery is from.

    So a feed is one dataset, however many files it has.
    """
    extractor = source.extractor if source is not None else None
    if isinstance(extractor, FileExtractor) and ("://" in extractor.location or extractor.location.startswith("/")):
        return extractor.location
    return extractor.shown if isinstance(extractor, RestExtractor) else None


def _input(dataset: Dataset, run: EndedRun, checks: Sequence[tuple[str, bool]], source: Source | None) -> InputDataset:
    """Return what a publisher sent: how much it was, and what the checks found."""
    assertions = [
        data_quality_assertions_dataset.Assertion(assertion=name, success=passed, column=_column(name, source))
        for name, passed in checks
    ]
    return InputDataset(
        dataset.namespace,
        dataset.name,
        inputFacets={
            "dataQualityMetrics": data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
                columnMetrics={}, rowCount=run.read, bytes=run.size, producer=PRODUCER
            ),
            "dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
                assertions=assertions, producer=PRODUCER
            ),
        },
    )


def _column(rule: str, source: Source | None) -> str | None:
    """Return the column of a rule ``column__kind``, or of a check ``values__column``; None if it is of no one."""
    names = source.schema.names if source is not None else ()
    before, _, checked = rule.partition("values__")
    return next((name for name in ("" if before else checked, rule.rpartition("__")[0]) if name in names), None)


def _output(dataset: Dataset, run: EndedRun, source: Source | None, inputs: Sequence[InputDataset]) -> OutputDataset:
    """Return the table: its columns, where they come from, and how many rows were written."""
    facets: dict[str, Any] = {}
    if source is not None:
        facets["schema"] = schema_dataset.SchemaDatasetFacet(
            fields=[
                schema_dataset.SchemaDatasetFacetFields(name=column.name, type=column.type.name)
                for column in source.schema.columns
            ],
            producer=PRODUCER,
        )
        if inputs:
            facets["columnLineage"] = _lineage(inputs[0], source)
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        rowCount=run.written, producer=PRODUCER
    )
    return OutputDataset(dataset.namespace, dataset.name, facets=facets, outputFacets={"outputStatistics": statistics})


def _lineage(dataset: InputDataset, source: Source) -> column_lineage_dataset.ColumnLineageDatasetFacet:
    """Return the published column of each column that a transformer does not make."""
    fields = {
        column.name: column_lineage_dataset.Fields(
            inputFields=[column_lineage_dataset.InputField(dataset.namespace, dataset.name, _published_name(column))]
        )
        for column in source.schema.columns
        if not column.derived
    }
    return column_lineage_dataset.ColumnLineageDatasetFacet(fields=fields, producer=PRODUCER)


def _published_name(column: Any) -> str:
    names = column.published_as or column.name
    return str(names if isinstance(names, str) else names[0])
