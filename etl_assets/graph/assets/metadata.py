"""What people see of a source in Dagster: column schema, rules, counts, places. Never record contents."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, TypeAlias

import dagster as dg

from etl_assets.graph.assets.plots import Bar, bars
from etl_assets.model.counts import Counts
from etl_assets.postgres.runs.asset_metadata import recently_delivered, row_counts
from etl_assets.schema.rules.required import Required
from etl_assets.schema.rules.type import WrittenAsType
from etl_assets.schema.rules.unique import Unique

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from etl_assets.ingest import Landed
    from etl_assets.load import LoadReport
    from etl_assets.model.partitions import Partition
    from etl_assets.postgres.connection import Connection
    from etl_assets.schema import Column, Schema
    from etl_assets.source import Source
    from etl_assets.validate import Shape
    from etl_assets.watch import Drift

    Metadata = dict[str, dg.MetadataValue]

Link: TypeAlias = "Mapping[str, dg.CodeReferencesMetadataValue]"


def description(source: Source) -> str:
    """The source's own words, and its rules as a Markdown table."""
    rules = "\n".join(f"| `{rule.name}` | {_cell(rule.words)} |" for rule in source.rules)
    consent = f"At most {source.max_rejected:.2%} of a delivery's records may be rejected."
    key = ", ".join(f"`{name}`" for name in source.schema.key)
    return f"{source.description.strip()}\n\nKey: {key}. {consent}\n\n| rule | asks that |\n| --- | --- |\n{rules}\n"


def declared_in(file: str | None) -> Link:
    """The link to the file that declares a source; nothing where none does.

    Dagster calls these links beta; its warning is for whoever wrote them.
    """
    if file is None:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        reference = dg.LocalFileCodeReference(file_path=file, line_number=1, label="declaration")
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])}


def column_schema(schema: Schema) -> dg.TableSchema:
    """The table's columns as Dagster shows them."""
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
        constraints=dg.TableConstraints(other=[f"PRIMARY KEY ({', '.join(schema.key)})"]),
    )


def landed(result: Landed, shape: Shape, drift: Drift) -> Metadata:
    """What a fetch brought."""
    manifest = result.delivery.manifest
    return {
        "delivery": dg.MetadataValue.int(result.delivery.id),
        "bytes are": dg.MetadataValue.text("new" if result.new else "identical to the delivery before"),
        "file": dg.MetadataValue.text(manifest.name),
        "origin": _place(manifest.origin),
        "sha256": dg.MetadataValue.text(manifest.sha256),
        "size": dg.MetadataValue.int(manifest.size),
        "records": dg.MetadataValue.int(manifest.records),
        "members": dg.MetadataValue.int(len(manifest.members)),
        "unmapped columns": dg.MetadataValue.text(", ".join(map(repr, shape.unmapped)) or "none"),
        "missing columns": dg.MetadataValue.text(", ".join(shape.missing) or "none"),
        "changes": dg.MetadataValue.text("; ".join(map(str, drift.opened)) or "none"),
        "taken back": dg.MetadataValue.text("; ".join(map(str, drift.closed)) or "none"),
    }


def loaded(
    connection: Connection, table: str, name: str, partition: Partition, reports: Sequence[LoadReport]
) -> Metadata:
    """What became of deliveries, and what the table holds now.

    Args:
        connection: To the warehouse.
        table: ``schema.table``.
        name: Under which deliveries are known.
        partition: That was loaded.
        reports: One for each delivery.
    """
    rows, partition_rows = row_counts(connection, table, name, partition.key)
    recent = recently_delivered(connection, name)
    found: Metadata = {
        "status": dg.MetadataValue.text(", ".join(report.status for report in reports)),
        "deliveries": dg.MetadataValue.json([report.delivery.id for report in reports]),
        "counts": counts_table({"written by this run": written(reports), "of the deliveries": _whole(reports)}),
        "seconds": dg.MetadataValue.json({phase: round(spent, 3) for phase, spent in seconds(reports).items()}),
        "records per delivery": bars(
            "Records; those rejected in the other colour",
            [Bar(delivered.label, delivered.records, delivered.rejected) for delivered in recent],
        ),
        "dagster/row_count": dg.MetadataValue.int(rows),
    }
    if any(delivered.rejected for delivered in recent):
        found["rejected share per delivery"] = bars(
            "Rejected share",
            [Bar(delivered.label, delivered.share, delivered.share) for delivered in recent],
        )
    if partition.key:
        found["dagster/partition_row_count"] = dg.MetadataValue.int(partition_rows)
    if rules := broken_rules(reports):
        found["rules broken"] = reasons_table(rules)
    return found


def counts_table(columns: Mapping[str, Counts]) -> dg.MetadataValue:
    """Counts side by side: a line for each count, a column for each set of counts."""
    names = list(vars(Counts()))
    records = [
        dg.TableRecord({"count": name, **{what: int(vars(counts)[name]) for what, counts in columns.items()}})
        for name in names
    ]
    schema = dg.TableSchema(
        columns=[dg.TableColumn("count", "string"), *(dg.TableColumn(what, "int") for what in columns)]
    )
    return dg.MetadataValue.table(records, schema)


def reasons_table(rules: Mapping[str, int]) -> dg.MetadataValue:
    """How many records broke each rule, most broken first."""
    ordered = sorted(rules.items(), key=lambda item: (-item[1], item[0]))
    return dg.MetadataValue.table(
        [dg.TableRecord({"rule": rule, "records": records}) for rule, records in ordered],
        dg.TableSchema(columns=[dg.TableColumn("rule", "string"), dg.TableColumn("records", "int")]),
    )


def waiting(counts: Mapping[str, int], reasons: Sequence[tuple[str, str, str, int]]) -> Metadata:
    """What waits in the quarantine.

    Args:
        counts: Open and parked records.
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
    """What a run wrote, over several deliveries."""
    return sum((report.written for report in reports), Counts())


def seconds(reports: Sequence[LoadReport]) -> dict[str, float]:
    """Seconds by phase, over several deliveries."""
    added: dict[str, float] = {}
    for report in reports:
        for phase, spent in report.seconds.items():
            added[phase] = added.get(phase, 0.0) + spent
    return added


def broken_rules(reports: Sequence[LoadReport]) -> dict[str, int]:
    """How many records broke each rule, over several deliveries."""
    rules: dict[str, int] = {}
    for report in reports:
        for rule, records in report.rules.items():
            rules[rule] = rules.get(rule, 0) + records
    return rules


def _whole(reports: Sequence[LoadReport]) -> Counts:
    return sum((report.counts for report in reports), Counts())


def _other_rules(column: Column) -> list[str]:
    """The rules for which Dagster has no word of its own."""
    known = (Required, Unique, WrittenAsType)
    return [rule.words(column.type) for rule in column.rules if not isinstance(rule, known)]


def _place(origin: str) -> dg.MetadataValue:
    return dg.MetadataValue.url(origin) if origin.startswith(("http://", "https://")) else dg.MetadataValue.text(origin)


def _cell(words: str) -> str:
    return words.replace("|", "\\|")
