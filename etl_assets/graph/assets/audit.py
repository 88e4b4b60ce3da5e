"""The job ``audit``: it checks the stored tables against their declarations, independently of the ingest.

It reads the tables, writes Data Docs, and reports the result on ``core/x``. A table that is not as declared fails the
run after every table has been checked. The annotations are not postponed here, because Dagster reads those of steps.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import dagster as dg

from etl_assets.audit.data_docs import Beside, page_of, publish
from etl_assets.audit.examination import TableAudit, audit_table
from etl_assets.graph.assets.check_results import keys_table
from etl_assets.graph.keys import AUDIT_STEP, WAREHOUSE, core_key
from etl_assets.graph.runs.failures import message_first
from etl_assets.graph.runs.retries import retrying
from etl_assets.graph.runs.run_record import RunRecord
from etl_assets.health.judgement import missing_partitions
from etl_assets.model.check_result import CheckResult
from etl_assets.model.checks import AUDIT
from etl_assets.postgres.alerts.alerts import clock
from etl_assets.postgres.connection import in_session
from etl_assets.postgres.health.facts import Facts, facts
from etl_assets.settings import Settings
from etl_assets.source import Source

if TYPE_CHECKING:
    from etl_assets.landing import Warehouse

NIGHTLY: Final = "0 5 * * *"
EXPECTATIONS: Final = "expectations"
EXPECTATIONS_MET: Final = "expectations met"
ROWS: Final = "rows"
PAGE: Final = "data docs"
DISAGREEMENTS: Final = "not as declared"


def audit_job(sources: Mapping[str, Source]) -> dg.JobDefinition:
    """Return the job that checks stored tables against their declarations.

    Args:
        sources: All known sources, by name.
    """

    @dg.op(
        name=AUDIT_STEP,
        out={},
        description="Check stored tables against their declarations and the ledger; write Data Docs.",
        required_resource_keys={WAREHOUSE},
        config_schema={"sources": dg.Field([str], default_value=[], description="Only these sources; by default all.")},
    )
    def audit_tables(context: dg.OpExecutionContext) -> Iterator[dg.AssetObservation]:
        with message_first(context.log, context.retry_number):
            yield from _audited(context, sources)

    @dg.job(
        name=AUDIT,
        description="Check the stored tables against their declarations with an independent auditor.",
        executor_def=dg.in_process_executor,
    )
    def audit() -> None:
        audit_tables()

    return audit


def audit_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Return the schedule that audits every table every night."""
    return dg.ScheduleDefinition(
        name=f"{AUDIT}_schedule",
        job=job,
        cron_schedule=NIGHTLY,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Checks every stored table against its declaration and the ledger, every night.",
    )


def data_docs(name: str) -> dg.MetadataValue:
    """Return the path of the Data Docs of a source's table; the first audit of the table writes them.

    Args:
        name: Name of the source.
    """
    return dg.MetadataValue.path(str(page_of(Settings.from_environment().home, name)))


def _audited(context: dg.OpExecutionContext, sources: Mapping[str, Source]) -> Iterator[dg.AssetObservation]:
    """Audit the tables that the configuration names, and yield what was found of each; then raise if one is wrong."""
    names = context.op_config["sources"] or list(sources)
    if unknown := [name for name in names if name not in sources]:
        raise dg.Failure(
            f"There is no source {unknown[0]!r}. Nothing was audited. Known are {', '.join(sorted(sources))}.",
            allow_retries=False,
        )
    warehouse: Warehouse = context.resources.warehouse.open()
    not_as_declared = []
    with retrying(context.retry_number):
        known = in_session(warehouse.url, lambda session: (facts(session), clock(session)))
        for name in names:
            examination = audit_table(sources[name], warehouse.url)
            if examination is None:
                context.log.info("There is no table %s yet; it was skipped.", sources[name].table)
                continue
            publish(Settings.from_environment().home, examination, context.run_id, _beside(sources[name], *known))
            _record(context, sources[name], warehouse.url, examination)
            yield _observation(examination)
            if examination.disagreements:
                not_as_declared.append(examination.table)
    if not_as_declared:
        raise dg.Failure(
            f"Not as declared: {', '.join(not_as_declared)}. Nothing was changed. Read the Data Docs. If a "
            "declaration has changed since its table was loaded, run the source: it reloads its newest deliveries.",
            allow_retries=False,
        )


def _beside(source: Source, known: Mapping[str, Facts], now: datetime) -> Beside:
    """Return what belongs in the table of a source and is not there."""
    if source.name not in known:
        return Beside()
    of_source = known[source.name]
    return Beside(of_source.open + of_source.parked, missing_partitions(source, of_source, now.astimezone(UTC)))


def _record(context: dg.OpExecutionContext, source: Source, url: str, examination: TableAudit) -> None:
    """Enter the examination of a table as one check result."""
    unmet = [answer for _, answer in examination.disagreements]
    result = CheckResult(
        AUDIT,
        passed=not unmet,
        blocking=False,  # it fails no run of the source, which would be alerted by itself
        description=_description(examination),
        failed_records=max((answer.failed_records for answer in unmet), default=0),
        records=examination.rows,
    )
    RunRecord.of(url, context.run, source, "", AUDIT, context.retry_number).checks(None, [result])


def _observation(examination: TableAudit) -> dg.AssetObservation:
    return dg.AssetObservation(
        core_key(examination.source),
        description=" ".join([_description(examination) or "The table is as declared.", *_not_loaded(examination)]),
        metadata=_metadata(examination),
    )


def _description(examination: TableAudit) -> str:
    return "; ".join(f"{expectation.name}: {answer.description}" for expectation, answer in examination.disagreements)


def _not_loaded(examination: TableAudit) -> list[str]:
    """Return a sentence about the columns that no load has added yet; nothing if there are none."""
    names = ", ".join(examination.not_loaded)
    return [f"Not loaded yet, and not checked: {names}."] if names else []


def _metadata(examination: TableAudit) -> dict[str, dg.MetadataValue]:
    asked, unmet = len(examination.answers), examination.disagreements
    metadata: dict[str, dg.MetadataValue] = {
        EXPECTATIONS: dg.MetadataValue.int(asked),
        EXPECTATIONS_MET: dg.MetadataValue.int(asked - len(unmet)),
        ROWS: dg.MetadataValue.int(examination.rows),
        PAGE: data_docs(examination.source),
    }
    if unmet:
        columns = ("rule", "requires that", "found")
        rows = ((expectation.name, expectation.description, answer.description) for expectation, answer in unmet)
        metadata[DISAGREEMENTS] = dg.MetadataValue.table(
            [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows],
            dg.TableSchema(columns=[dg.TableColumn(name, "string") for name in columns]),
        )
    metadata |= {f"keys: {answer.name}": keys_table(answer.keys) for _, answer in unmet if answer.keys}
    return metadata
