"""``etl-assets preview``: what a source or a declaration in a file would bring, without a database.

The bytes are fetched into a temporary folder and go the way of any batch, up to the loader. What only the tables can
tell, whether a parent is there and whether a value is taken, is not examined.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import polars as pl

from etl_assets import catalog, ingest
from etl_assets.cli.environment import declared, named
from etl_assets.cli.masking import MASK, Masking
from etl_assets.cli.run import match
from etl_assets.cli.terminal import console, counted, emit, harmless_bytes, progress, table
from etl_assets.errors import DeclarationError
from etl_assets.landing import LandingStore, land
from etl_assets.model.batch import REJECTED_RECORD_NO, REJECTED_RULES
from etl_assets.schema import RECORD_NO
from etl_assets.validate import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from etl_assets.model.batch import Batch
    from etl_assets.model.delivery import Manifest
    from etl_assets.model.partitions import Partition
    from etl_assets.source import Source
    from etl_assets.validate import Shape


@click.command(name="preview")
@click.argument("name", metavar="NAME|FILE")
@click.option("--partition", "key", metavar="K", help="Which partition; the newest by default.")
@click.option("--limit", default=10, show_default=True, help="How many rejected records and rows to show.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(name: str, key: str | None, limit: int, *, as_json: bool) -> None:
    """Show what a source would bring; nothing is written, and no database is needed.

    Instead of a NAME, the FILE of a declaration may be given. Values of sensitive columns are masked. References and
    unique values are not examined: they need the tables.
    """
    source = _declared_in(Path(name)) if name.endswith(".py") else named(declared(), name)
    partition = source.partition(_key(source, key))
    with TemporaryDirectory(prefix="etl-assets-preview-") as folder:
        store = LandingStore(folder)
        manifest = land(source.extractor, partition, store)
        shape = resolve(source.schema, manifest.names, f"{source.name} ({partition})")
        seen = Preview(source, shape, limit)
        with progress(shown=not as_json) as bar:
            task = bar.add_task("records", total=manifest.records)
            for batch in ingest.batches(source, partition.key, manifest, store):
                seen.take(batch)
                bar.advance(task, batch.read)
    told = seen.as_json(partition, manifest)
    if as_json:
        emit(told)
    else:
        _print(told, seen)


@dataclass
class Preview:
    """What was seen of a delivery so far.

    Attributes:
        source: Its declaration.
        shape: How its columns meet the schema.
        limit: How many rejected records and rows are kept.
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
        """Count a batch, and keep of it what is to be shown."""
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
        """As one JSON object."""
        return {
            "source": self.source.name,
            "partition": partition.key or None,
            "file": manifest.name,
            "origin": manifest.origin,
            "size": manifest.size,
            "sha256": manifest.sha256,
            "read": self.read,
            "rejected": self.rejected,
            "filtered": self.filtered,
            "produced": self.rows,
            "max_rejected": self.source.max_rejected,
            "refused": self.rejected > int(self.source.max_rejected * manifest.records),
            "unmapped": list(self.shape.unmapped),
            "missing": list(self.shape.missing),
            "rules": dict(self.rules.most_common()),
            "records": self.records,
            "sample": self.sample,
        }


def _rejected(batch: Batch, wanted: pl.DataFrame, shape: Shape, masking: Masking) -> Iterator[dict[str, Any]]:
    """Rejected records: where they stand, the rules they broke, and what stood in the columns concerned."""
    if wanted.is_empty():
        return
    parsed = batch.raw.frame.filter(pl.col(RECORD_NO).is_in(wanted[REJECTED_RECORD_NO].implode()))
    published = {row[RECORD_NO]: row for row in parsed.iter_rows(named=True)}
    for number, rules in wanted.select(REJECTED_RECORD_NO, REJECTED_RULES).iter_rows():
        names = dict.fromkeys(shape.columns[name] for rule in rules if (name := _column(rule)) in shape.columns)
        fields = masking.fields({name: published[number][name] for name in names if number in published})
        raw = MASK if masking.hides_raw else harmless_bytes(batch.raw.raw(number))
        yield {"record": number, "at": batch.raw.location(number), "rules": rules, "values": fields, "raw": raw}


def _column(rule: str) -> str:
    return rule.rpartition("__")[0]


def _key(source: Source, key: str | None) -> str | None:
    """The key of the partition that is meant."""
    if source.partitions is None:
        if key is not None:
            raise click.UsageError(f"Source {source.name!r} has no partitions: leave out --partition.")
        return None
    known: Sequence[str] = source.partitions.keys(datetime.now(tz=UTC))
    if source.takes_files:
        known = sorted(source.extractor.list(), key=lambda name: (source.partition(name).rank, name))
    if key is not None:
        return match(key, known, source.name)
    if not known:
        raise click.UsageError(f"Source {source.name!r} has no partition now. There is nothing to preview.")
    return known[-1]


def _declared_in(path: Path) -> Source:
    """The source that a file declares, whether or not the settings name its folder."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise click.UsageError(f"There is no file {path}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for source in catalog.sources([module]).values():
        return source
    raise DeclarationError(f"file {path}", "SOURCE", "is missing", "Write SOURCE = Source(...)")


def _print(told: Mapping[str, Any], seen: Preview) -> None:
    out = console()
    what = f"{told['source']} {told['partition'] or ''}".strip()
    out.print(f"{what}: {told['file']} from {told['origin']}, {told['size']:,} bytes", markup=False)
    counts = f"{counted(seen.rejected, 'record')} of {seen.read:,} would be rejected, {seen.filtered:,} filtered"
    out.print(f"{counts}; {counted(seen.rows, 'row')} would go to {seen.source.table}.")
    if told["refused"]:
        out.print(f"That is more than max_rejected={told['max_rejected']} consents to: the delivery would be refused.")
    if told["unmapped"]:
        out.print(f"Published, and neither mapped nor ignored: {', '.join(map(repr, told['unmapped']))}.", markup=False)
    if told["missing"]:
        out.print(f"Declared, and not in the delivery: {', '.join(told['missing'])}.")
    if seen.rules:
        out.print()
        asked = {rule.name: rule.words for rule in seen.source.rules}
        table(("rule", "records", "asks that"), ((r, n, asked.get(r)) for r, n in seen.rules.most_common()))
        out.print()
        table(("record", "at", "broke", "values"), (_row(record) for record in seen.records))
    if seen.sample:
        out.print()
        table(list(seen.sample[0]), (list(map(_value, row.values())) for row in seen.sample), title="rows")


def _row(record: Mapping[str, Any]) -> tuple[str, str, str, str]:
    values = ", ".join(f"{name}={value!r}" for name, value in (record["values"] or {}).items())
    return str(record["record"]), record["at"], ", ".join(record["rules"]), values or record["raw"]


def _value(value: object) -> str | None:
    return None if value is None else str(value)
