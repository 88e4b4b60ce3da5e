"""The metadata of a source that Dagster shows: column schema, rules, counts, places. Never record contents."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, TypeAlias

import dagster as dg

from etl_assets.graph.assets.overview import links, open_now
from etl_assets.graph.assets.plots import Bar, bars
from etl_assets.model.counts import Counts
from etl_assets.model.text import names_text, storable
from etl_assets.postgres.ledger.retention import dropped_rows
from etl_assets.postgres.ledger.row_counts import count_partition_rows, count_rows
from etl_assets.postgres.runs.asset_metadata import recent_deliveries
from etl_assets.schema.rules.required import Required
from etl_assets.schema.rules.type import WrittenAsType
from etl_assets.schema.rules.unique import Unique

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.ingest import Landed
    from etl_assets.load import LoadReport
    from etl_assets.model.delivery import Manifest
    from etl_assets.model.partitions import Partition
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Column, Schema
    from etl_assets.source import Source
    from etl_assets.validate import Shape
    from etl_assets.watch import Drift

    Metadata = dict[str, dg.MetadataValue]

Link: TypeAlias = "Mapping[str, dg.CodeReferencesMetadataValue]"


def description(source: Source) -> str:
    """Return links to the other pages of the source, its description, and its rules as a Markdown table."""
    rules = "\n".join(f"| `{rule.name}` | {_cell(rule.words)} |" for rule in source.rules)
    consent = f"At most {source.max_rejected:.2%} of a delivery's records may be rejected."
    key = ", ".join(f"`{name}`" for name in source.schema.key) or "none"
    about = f"{links(source.name)}\n\n{source.about}\n\nKey: {key}. {consent}"
    return f"{about}\n\n| rule | requires that |\n| --- | --- |\n{rules}\n"


def declared_in(file: str | None) -> Link:
    """Return the metadata with a link to the file that declares a source; no metadata without a file.

    Dagster warns that these links are beta. The warning is for the author of this code, so it is suppressed.
    """
    if file is None:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        reference = dg.LocalFileCodeReference(file_path=storable(file), line_number=1, label="declaration")
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])}


def column_schema(schema: Schema) -> dg.TableSchema:
    """Return the table's columns as Dagster shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.type.postgres,
                description=column.description or None,
                constraints=dg.TableColumnConstraints(
                    nullable=not column.required, unique=column.find(Unique) is not None, other=_other_rules(column)
                ),
            )
            for column in schema.columns
        ],
        constraints=dg.TableConstraints(other=[f"PRIMARY KEY ({', '.join(schema.key)})"] if schema.key else []),
    )


def landed(result: Landed, shape: Shape, drift: Drift) -> Metadata:
    """Return the metadata of a landed delivery, without what there is nothing of."""
    manifest = result.delivery.manifest
    texts = {
        "unmapped columns": names_text(shape.unmapped),
        "missing columns": ", ".join(shape.missing),
        "changes": "; ".join(map(str, drift.opened)),
        "taken back": "; ".join(map(str, drift.closed)),
    }
    return {
        **{what: dg.MetadataValue.text(text) for what, text in texts.items() if text},
        "delivery": dg.MetadataValue.int(result.delivery.id),
        "bytes are": dg.MetadataValue.text(_novelty(result)),
        "file": dg.MetadataValue.text(manifest.name),
        "origin": _place(manifest.origin),
        "sha256": dg.MetadataValue.text(manifest.sha256),
        "size": dg.MetadataValue.int(manifest.size),
        "records": dg.MetadataValue.int(manifest.records),
        "members": dg.MetadataValue.int(len(manifest.members)),
        **_of_fetch(manifest),
    }


def _novelty(result: Landed) -> str:
    if result.withdrawn:
        return "published no longer; read from the frozen delivery"
    return "new" if result.new else "identical to the delivery before"


def _of_fetch(manifest: Manifest) -> Metadata:
    """Return what a fetch says of itself: its numbers, which Dagster draws over time, its notes, and its state."""
    metadata: Metadata = {
        f"fetch: {name}": dg.MetadataValue.float(float(value)) for name, value in manifest.statistics.items()
    }
    if seconds := manifest.statistics.get("seconds"):
        metadata["fetch: bytes per second"] = dg.MetadataValue.float(manifest.size / seconds)
    if manifest.notes:
        metadata["notes"] = dg.MetadataValue.text(" ".join(manifest.notes))
    if shown := {name: value for name, value in manifest.state.items() if not name.startswith("_")}:
        metadata["next fetch begins"] = dg.MetadataValue.json(shown)
    return metadata


def loaded(
    connection: Connection, table: str, name: str, partition: Partition, reports: Sequence[LoadReport]
) -> Metadata:
    """Return the metadata of loaded deliveries and of the table as it is now; first what waits or is open.

    Dagster draws the numbers: by partition, if the table has partitions.

    Args:
        connection: Connection to the warehouse.
        table: ``schema.table``.
        name: The name of the deliveries in ``etl.delivery``.
        partition: The partition that was loaded.
        reports: One for each delivery.
    """
    recent = recent_deliveries(connection, name)
    metadata: Metadata = {
        **open_now(connection, name),
        "status": dg.MetadataValue.text(", ".join(report.status for report in reports)),
        "deliveries": dg.MetadataValue.text(", ".join(str(report.delivery.id) for report in reports)),
        **_numbers(reports),
        "counts": counts_table({"written by this run": written(reports), "of the deliveries": _counts(reports)}),
        "records per delivery": bars(
            "Records; the rejected ones in the other colour",
            [Bar(delivered.label, delivered.records, delivered.rejected) for delivered in recent],
        ),
        "dagster/row_count": dg.MetadataValue.int(count_rows(connection, name, table)),
    }
    if (retained := dropped_rows(connection, name)) is not None:
        kept_from, dropped = retained
        metadata["keeps rows from"] = dg.MetadataValue.text(kept_from.isoformat())
        metadata["rows dropped for their age"] = dg.MetadataValue.int(dropped)
    if any(delivered.rejected for delivered in recent):
        metadata["rejected share per delivery"] = bars(
            "Rejected share",
            [Bar(delivered.label, delivered.share, delivered.share) for delivered in recent],
        )
    if partition.key:
        rows = count_partition_rows(connection, name, table, partition.key)
        metadata |= {} if rows is None else {"dagster/partition_row_count": dg.MetadataValue.int(rows)}
    if rules := broken_rules(reports):
        metadata["rules broken"] = reasons_table(rules)
    return metadata


def counts_table(columns: Mapping[str, Counts]) -> dg.MetadataValue:
    """Return counts as a table: one row for each count that is not zero, one column for each set of counts."""
    numbers = {name: {column: int(vars(counts)[name]) for column, counts in columns.items()} for name in vars(Counts())}
    records = [dg.TableRecord({"count": name, **row}) for name, row in numbers.items() if any(row.values())]
    schema = dg.TableSchema(
        columns=[dg.TableColumn("count", "string"), *(dg.TableColumn(column, "int") for column in columns)]
    )
    return dg.MetadataValue.table(records, schema)


def reasons_table(rules: Mapping[str, int]) -> dg.MetadataValue:
    """Return a table of the number of records that broke each rule, largest number first."""
    ordered = sorted(rules.items(), key=lambda item: (-item[1], item[0]))
    return dg.MetadataValue.table(
        [dg.TableRecord({"rule": rule, "records": records}) for rule, records in ordered],
        dg.TableSchema(columns=[dg.TableColumn("rule", "string"), dg.TableColumn("records", "int")]),
    )


def waiting(counts: Mapping[str, int], reasons: Sequence[tuple[str, str, str, int]]) -> Metadata:
    """Return the metadata of the records that wait in the quarantine.

    Args:
        counts: Number of records, by status: open and parked.
        reasons: Source, status, rule and number of records.
    """
    records = [
        dg.TableRecord({"status": status, "rule": rule, "records": number}) for _, status, rule, number in reasons
    ]
    columns = [dg.TableColumn("status", "string"), dg.TableColumn("rule", "string"), dg.TableColumn("records", "int")]
    return {
        **{status: dg.MetadataValue.int(number) for status, number in counts.items()},
        "dagster/row_count": dg.MetadataValue.int(sum(counts.values())),
        "reasons": dg.MetadataValue.table(records, dg.TableSchema(columns=columns)),
    }


def written(reports: Sequence[LoadReport]) -> Counts:
    """Return the counts of what a run wrote, summed over deliveries."""
    return sum((report.written for report in reports), Counts())


def seconds(reports: Sequence[LoadReport]) -> dict[str, float]:
    """Return the seconds by phase, summed over deliveries."""
    totals: dict[str, float] = {}
    for report in reports:
        for phase, spent in report.seconds.items():
            totals[phase] = totals.get(phase, 0.0) + spent
    return totals


def broken_rules(reports: Sequence[LoadReport]) -> dict[str, int]:
    """Return the number of records that broke each rule, summed over deliveries."""
    rules: dict[str, int] = {}
    for report in reports:
        for rule, records in report.rules.items():
            rules[rule] = rules.get(rule, 0) + records
    return rules


def _numbers(reports: Sequence[LoadReport]) -> Metadata:
    """Return the records of deliveries, those of them that were rejected, and the seconds, by phase as a list."""
    counts, phases = _counts(reports), {phase: spent for phase, spent in seconds(reports).items() if spent}
    numbers: Metadata = {"records": dg.MetadataValue.int(counts.read)}
    if counts.rejected:
        numbers["rejected"] = dg.MetadataValue.int(counts.rejected)
    if phases:
        numbers["seconds"] = dg.MetadataValue.float(round(sum(phases.values()), 3))
        longest_first = sorted(phases.items(), key=lambda phase: -phase[1])
        lines = "\n".join(f"* {phase}: {spent:.2f}" for phase, spent in longest_first)
        numbers["seconds of each phase"] = dg.MetadataValue.md(lines)
    return numbers


def _counts(reports: Sequence[LoadReport]) -> Counts:
    return sum((report.counts for report in reports), Counts())


def _other_rules(column: Column) -> list[str]:
    """Return the words of the rules that Dagster has no field for."""
    with_field = (Required, Unique, WrittenAsType)
    return [rule.words(column.type) for rule in column.rules if not isinstance(rule, with_field)]


def _place(origin: str) -> dg.MetadataValue:
    return dg.MetadataValue.url(origin) if origin.startswith(("http://", "https://")) else dg.MetadataValue.text(origin)


def _cell(words: str) -> str:
    return words.replace("|", "\\|")
