"""``etl-assets preview``: shows what a run of a source would load, without a database.

It fetches the bytes into a temporary folder and processes them like any batch, up to the loader. It does not check
references and unique values, because they need the tables, nor the keys that the loader compares.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import click

from etl_assets.cli.completion import DELIVERIES, PARTITIONS, SOURCES_AND_FILES
from etl_assets.cli.environment import declared, source_named
from etl_assets.cli.masking import MASK, Masking
from etl_assets.cli.run import matching_partition
from etl_assets.cli.terminal import console, count_text, emit, fetches_shown, harmless_bytes, progress, table
from etl_assets.model.text import escape_control_characters
from etl_assets.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from etl_assets.ingest.batch import ReadCorrected
    from etl_assets.landing import LandingStore
    from etl_assets.model.batch import Batch
    from etl_assets.model.delivery import Manifest, Span
    from etl_assets.model.partitions import Partition
    from etl_assets.postgres.ledger.quarantine import Rejected
    from etl_assets.source import Source
    from etl_assets.validate import Shape

_WIDEST: Final = 14
"""The largest number of columns of a table of rows."""
_TALL_ROWS: Final = 3


@click.command(name="preview")
@click.argument("name", metavar="NAME|FILE", shell_complete=SOURCES_AND_FILES)
@click.option(
    "--partition",
    "key",
    metavar="K",
    shell_complete=PARTITIONS,
    help="Key of the partition; the newest by default.",
)
@click.option(
    "--delivery",
    metavar="N",
    type=int,
    shell_complete=DELIVERIES,
    help="Judge the frozen bytes of this delivery, and fetch nothing; the warehouse must be there.",
)
@click.option("--limit", default=10, show_default=True, help="Show at most this many rejected records, and rows.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(name: str, key: str | None, delivery: int | None, limit: int, *, as_json: bool) -> None:
    """Show what a run of a source would load; nothing is written, and no database is needed.

    Name a source, or the FILE of a declaration. Values of sensitive columns are masked. References and unique values
    are not checked, because they need the tables.
    """
    from etl_assets import catalog

    if name.endswith(".py") and not Path(name).is_file():
        raise click.UsageError(f"There is no file {name}.")
    source = catalog.load_file(Path(name)) if name.endswith(".py") else _declared_as(name)
    if delivery is None:
        preview_source(source, key, limit, as_json=as_json)
        return
    if key is not None:
        raise click.UsageError("--delivery names a delivery of one partition: leave out --partition.")
    from etl_assets.cli.delivered import opened_delivery

    with opened_delivery(source, delivery) as (found, env, corrected):
        partition = source.partition(found.partition or None)
        _preview(source, partition, found.manifest, env.warehouse.store, limit, as_json=as_json, corrected=corrected)


def _declared_as(name: str) -> Source:
    """Return the source with a name; the other files are loaded only to say which names there are."""
    from etl_assets import catalog

    alone = catalog.of_settings(Settings.from_environment(), {name})
    return source_named(alone if name in (*alone.sources, *alone.broken) else declared(), name)


def preview_source(source: Source, key: str | None = None, limit: int = 10, *, as_json: bool = False) -> None:
    """Print what a run of a source would load.

    Args:
        source: The source.
        key: Key of the partition; the newest by default.
        limit: Greatest number of rejected records, and of rows, to print.
        as_json: Print one JSON object.
    """
    from etl_assets.landing import LandingStore, land

    partition = source.partition(_partition_key(source, key))
    extractor = source.extractor.of_preview()
    with TemporaryDirectory(prefix="etl-assets-preview-") as folder:
        store = LandingStore(folder)
        with progress(shown=not as_json) as bar, fetches_shown(bar):
            manifest = land(extractor, partition, store)
        _preview(source, partition, manifest, store, limit, as_json=as_json)


def _preview(
    source: Source,
    partition: Partition,
    manifest: Manifest,
    store: LandingStore,
    limit: int,
    *,
    as_json: bool,
    corrected: ReadCorrected | None = None,
) -> None:
    """Print what a run would load of bytes that are frozen in a store."""
    from etl_assets import ingest
    from etl_assets.validate import resolve

    shape = resolve(source.schema, manifest.names, f"{source.name} ({partition})", records=manifest.records)
    preview = Preview(source, shape, limit)
    with progress(shown=not as_json) as bar:
        task = bar.add_task("records", total=manifest.records)
        for batch in ingest.batches(source, partition.key, manifest, store, corrected=corrected or _none_corrected):
            preview.take(batch)
            bar.advance(task, batch.read)
    is_partial = source.extractor.of_preview().is_cut(manifest.statistics)
    facts = {**preview.as_json(partition, manifest), "partial": is_partial}
    if as_json:
        emit(facts)
    else:
        _print(facts, preview)


def _none_corrected(_: Span) -> Sequence[Rejected]:
    return ()


@dataclass
class Preview:
    """The counts and samples of a delivery, collected batch by batch.

    Attributes:
        source: Declaration of the source.
        shape: How the columns of the delivery map to the schema.
        limit: How many rejected records, and how many rows, to keep at most.
    """

    source: Source
    shape: Shape
    limit: int
    read: int = 0
    filtered: int = 0
    rows: int = 0
    rejected: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    records: list[dict[str, Any]] = field(default_factory=list)
    sample: list[dict[str, Any]] = field(default_factory=list)

    def take(self, batch: Batch) -> None:
        """Count a batch, and keep its records and rows to show."""
        from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES
        from etl_assets.schema import RECORD_NO

        self.read += batch.read
        self.filtered += batch.filtered
        self.rows += batch.rows.height
        self.rejected += batch.rejected.height
        self.rules.update(batch.rejected[REJECTED_RULES].explode().drop_nulls().to_list())
        masking = Masking(self.source)
        wanted = batch.rejected.sort(REJECTED_RECORD_NO).head(max(self.limit - len(self.records), 0))
        self.records += _rejected(batch, wanted, self.shape, masking)
        for row in batch.rows.head(max(self.limit - len(self.sample), 0)).iter_rows(named=True):
            row.pop(RECORD_NO)
            self.sample.append({name: masking.column(name, value) for name, value in row.items()})

    def as_json(self, partition: Partition, manifest: Manifest) -> dict[str, Any]:
        """Return the preview as one JSON object."""
        return {
            "source": self.source.name,
            "partition": partition.key or None,
            "file": manifest.name,
            "origin": manifest.origin,
            "size": manifest.size,
            "sha256": manifest.sha256,
            "notes": list(manifest.notes),
            "read": self.read,
            "rejected": self.rejected,
            "filtered": self.filtered,
            "produced": self.rows,
            "max_rejected": self.source.max_rejected,
            "refused": self.rejected > manifest.consent(self.source.max_rejected),
            "unmapped": list(self.shape.unmapped),
            "missing": list(self.shape.missing),
            "rules": dict(self.rules.most_common()),
            "records": self.records,
            "sample": self.sample,
        }


def _rejected(batch: Batch, wanted: pl.DataFrame, shape: Shape, masking: Masking) -> Iterator[dict[str, Any]]:
    """Yield rejected records: location, broken rules, and the values of the columns of those rules."""
    from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES
    from etl_assets.schema import RECORD_NO

    if wanted.is_empty():
        return
    parsed = batch.raw.texts_of(wanted[REJECTED_RECORD_NO])
    published = {row[RECORD_NO]: row for row in parsed.iter_rows(named=True)}
    for number, rules in wanted.select(REJECTED_RECORD_NO, REJECTED_RULES).iter_rows():
        names = dict.fromkeys(shape.columns[name] for rule in rules if (name := _column(rule)) in shape.columns)
        fields = masking.fields({name: published[number][name] for name in names if number in published})
        raw = MASK if masking.hides_raw else harmless_bytes(batch.raw.raw(number))
        yield {"record": number, "at": batch.raw.location(number), "rules": rules, "values": fields, "raw": raw}


def _column(rule: str) -> str:
    return rule.rpartition("__")[0]


def _partition_key(source: Source, key: str | None) -> str | None:
    """Return the key of the partition to preview; None for a source without partitions."""
    if source.partitions is None:
        if key is not None:
            raise click.UsageError(f"Source {source.name!r} has no partitions: leave out --partition.")
        return None
    known = source.extractor.keys(source.partitions, datetime.now(UTC))
    if key is not None:
        return matching_partition(key, known, source.name)
    if not known:
        raise click.UsageError(f"Source {source.name!r} has no partitions yet. There is nothing to preview.")
    return known[-1]


def _print(facts: Mapping[str, Any], preview: Preview) -> None:
    out = console()
    name = escape_control_characters(f"{facts['source']} {facts['partition'] or ''}".strip())
    out.print(f"{name}: {facts['file']} from {facts['origin']}, {facts['size']:,} bytes", markup=False)
    if facts["partial"]:
        out.print("Only the first records were fetched; a run fetches all of them.")
    for note in facts["notes"]:
        out.print(note, markup=False)
    rejected, rows = count_text(preview.rejected, "record"), count_text(preview.rows, "row")
    out.print(
        f"{rejected} of {preview.read:,} would be rejected, {preview.filtered:,} filtered; {rows} would go to "
        f"{preview.source.table}."
    )
    if facts["refused"]:
        out.print(f"This is more than max_rejected={facts['max_rejected']} allows: the delivery would be refused.")
    if preview.source.schema.lookups:
        tables = ", ".join(dict.fromkeys(lookup.table for lookup in preview.source.schema.lookups))
        out.print(f"Whether the rows that it refers to exist was not looked up: {tables}.")
    if preview.source.schema.repeated_keys == "reject":
        out.print("Whether records have the same key was not looked up: a run rejects those with other contents.")
    if facts["unmapped"]:
        unmapped = ", ".join(map(repr, facts["unmapped"]))
        out.print(f"Published columns that are neither declared nor ignored: {unmapped}.", markup=False)
    if facts["missing"]:
        out.print(f"Declared columns that are missing from the delivery: {', '.join(facts['missing'])}.")
    if preview.rules:
        out.print()
        words = {rule.name: rule.words for rule in preview.source.rules}
        table(("rule", "records", "requires that"), ((r, n, words.get(r)) for r, n in preview.rules.most_common()))
        out.print()
        table(("record", "at", "broke", "values"), (_row(record) for record in preview.records))
    if preview.sample:
        out.print()
        _print_rows(preview.sample)


def _print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table; if they are too wide for one, the first of them with a line for each column."""
    if len(rows[0]) <= _WIDEST:
        table(list(rows[0]), (list(map(_value, row.values())) for row in rows), title="rows")
        return
    first = rows[:_TALL_ROWS]
    heads = ("column", *(f"row {number}" for number in range(1, len(first) + 1)))
    table(heads, ([name, *(_value(row[name]) for row in first)] for name in first[0]), title="rows")


def _row(record: Mapping[str, Any]) -> tuple[str, str, str, str]:
    values = ", ".join(f"{name}={value!r}" for name, value in (record["values"] or {}).items())
    return str(record["record"]), record["at"], ", ".join(record["rules"]), values or record["raw"]


def _value(value: object) -> str | None:
    return None if value is None else str(value)
