"""The job ``audit``: the stored tables held against their declarations by an auditor that had no part in the ingest.

It reads, writes Data Docs, and says what it found on ``core/x``. A table that is not as declared fails the run, once
every table has been looked at. Dagster reads the annotations of steps, which is why they are not postponed here.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import dagster as dg

from etl_assets.audit.data_docs import page_of, publish
from etl_assets.audit.examination import Examination, examine
from etl_assets.graph.assets.check_results import keys_table
from etl_assets.graph.keys import AUDIT_STEP, WAREHOUSE, core_key
from etl_assets.graph.runs.retries import retrying
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets.model.check_result import CheckResult
from etl_assets.model.checks import AUDIT
from etl_assets.settings import Settings
from etl_assets.source import Source

if TYPE_CHECKING:
    from etl_assets.landing import Warehouse

WEEKLY: Final = "0 5 * * 0"
ASKED: Final = "expectations"
MET: Final = "expectations met"
ROWS: Final = "rows"
PAGE: Final = "data docs"
DISAGREEMENTS: Final = "not as declared"


def audit_job(sources: Mapping[str, Source]) -> dg.JobDefinition:
    """The job that holds stored tables against their declarations.

    Args:
        sources: All that are known, by name.
    """

    @dg.op(
        name=AUDIT_STEP,
        out={},
        description="Hold stored tables against their declarations with Great Expectations; write Data Docs.",
        required_resource_keys={WAREHOUSE},
        config_schema={"sources": dg.Field([str], default_value=[], description="Only these; all by default.")},
    )
    def audit_tables(context: dg.OpExecutionContext) -> Iterator[dg.AssetObservation]:
        names = context.op_config["sources"] or list(sources)
        if unknown := [name for name in names if name not in sources]:
            raise dg.Failure(
                f"There is no source {unknown[0]!r}. Nothing was audited. Known are {', '.join(sorted(sources))}.",
                allow_retries=False,
            )
        warehouse: Warehouse = context.resources.warehouse.open()
        unsound = []
        with retrying(context.retry_number):
            for name in names:
                examination = examine(sources[name], warehouse.url)
                if examination is None:
                    context.log.info("There is no table %s yet; it was left out.", sources[name].table)
                    continue
                publish(Settings.from_environment().home, examination, context.run_id)
                _record(context, sources[name], warehouse.url, examination)
                yield _observation(examination)
                if examination.disagreements:
                    unsound.append(examination.table)
        if unsound:
            raise dg.Failure(
                f"Not as declared: {', '.join(unsound)}. Nothing was changed. Look at the Data Docs; if a declaration "
                "has changed since its table was loaded, run the source, which reads its newest deliveries anew.",
                allow_retries=False,
            )

    @dg.job(
        name=AUDIT,
        description="Hold the stored tables against their declarations with an independent auditor.",
        executor_def=dg.in_process_executor,
    )
    def auditing() -> None:
        audit_tables()

    return auditing


def audit_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Once a week, on Sunday, every table is audited."""
    return dg.ScheduleDefinition(
        name=f"{AUDIT}_schedule",
        job=job,
        cron_schedule=WEEKLY,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Holds every stored table against its declaration, once a week.",
    )


def data_docs(name: str) -> dg.MetadataValue:
    """Where the Data Docs of a source's table are, or will be once it is audited.

    Args:
        name: Of the source.
    """
    return dg.MetadataValue.path(str(page_of(Settings.from_environment().home, name)))


def _record(context: dg.OpExecutionContext, source: Source, url: str, examination: Examination) -> None:
    """Enter what was found as one check result."""
    unmet = [answer for _, answer in examination.disagreements]
    row = CheckResult(
        AUDIT,
        passed=not unmet,
        blocking=True,
        description=_described(examination),
        failed_records=max((answer.failed_records for answer in unmet), default=0),
        records=examination.rows,
    )
    RunRecord.of(url, context.run, source, "", AUDIT, context.retry_number).checks(None, [row])


def _observation(examination: Examination) -> dg.AssetObservation:
    return dg.AssetObservation(
        core_key(examination.source),
        description=_described(examination) or "The table is as declared.",
        metadata=_metadata(examination),
    )


def _described(examination: Examination) -> str:
    return "; ".join(f"{expectation.name}: {answer.description}" for expectation, answer in examination.disagreements)


def _metadata(examination: Examination) -> dict[str, dg.MetadataValue]:
    asked, unmet = len(examination.answers), examination.disagreements
    found: dict[str, dg.MetadataValue] = {
        ASKED: dg.MetadataValue.int(asked),
        MET: dg.MetadataValue.int(asked - len(unmet)),
        ROWS: dg.MetadataValue.int(examination.rows),
        PAGE: data_docs(examination.source),
    }
    if unmet:
        columns = ("rule", "asks that", "found")
        found[DISAGREEMENTS] = dg.MetadataValue.table(
            [
                dg.TableRecord(dict(zip(columns, (each.name, each.description, said.description), strict=True)))
                for each, said in unmet
            ],
            dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in columns]),
        )
    found |= {f"keys: {said.name}": keys_table(said.keys) for _, said in unmet if said.keys}
    return found
