"""Compares the table that was built again with the one in use, and finds why rows differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import polars as pl

from etl_assets.ingest.batch import batches, corrected_records
from etl_assets.load.prepare import hash_seed, row_hashes
from etl_assets.postgres.connection import connected
from etl_assets.postgres.ledger import deliveries, entries
from etl_assets.postgres.ledger.rebuilt import OFFSET
from etl_assets.postgres.tables.beside import beside
from etl_assets.postgres.tables.ddl import Extension, exists, key_of
from etl_assets.postgres.tables.difference import Pair, TableDifference
from etl_assets.postgres.tables.history_table import stored_in_use
from etl_assets.rebuild.building import build, stored_beside
from etl_assets.schema import RECORD_NO, ROW_HASH

if TYPE_CHECKING:
    from etl_assets.landing import Warehouse
    from etl_assets.model.delivery import Delivery
    from etl_assets.postgres.connection import Connection
    from etl_assets.postgres.tables.difference import Example, Kind
    from etl_assets.rebuild.building import OnProgress
    from etl_assets.source import Source

SHOWN: Final = 20
"""How many rows that differ are listed."""
_NO_ROW: Final = "was written by hand: the ledger has no such delivery of the source"


@dataclass(frozen=True)
class Difference:
    """A row that differs.

    Attributes:
        kind: ``missing`` from the table in use, ``extra`` in it; or it has other ``contents``, ``times``, ``hash`` or
            ``mark``.
        row: Its key, or else its delivery and record; without the values of sensitive columns.
        columns: Names of the columns that differ.
        why: The reason, as a clause about the table in use.
    """

    kind: Kind
    row: str
    columns: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Verification:
    """The result of a comparison.

    Attributes:
        equal: How many rows are equal.
        differing: How many rows differ.
        reasons: How many rows differ for each reason.
        differences: The first rows that differ.
        notes: What was not compared, and why; sentences.
    """

    equal: int
    differing: int
    reasons: dict[str, int]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    def texts(self) -> list[str]:
        """Return the result as sentences, without contents of records: keys are in `differences`."""
        texts = [*self.notes, f"{self.equal:,} rows are equal."]
        if self.differing:
            texts.append(f"{self.differing:,} rows differ:")
            texts += [f"{number:,} rows: {why}." for why, number in self.reasons.items()]
        return texts


def verify(source: Source, warehouse: Warehouse, run_id: str, on_progress: OnProgress | None = None) -> Verification:
    """Build what is missing, then compare the table that was built with the one in use.

    Both are read in one snapshot, so that loads may run at the same time.

    Args:
        source: The declaration.
        warehouse: Has the frozen bytes, the ledger and both tables.
        run_id: Of the run that builds.
        on_progress: See `OnProgress`.
    """
    built = build(source, warehouse, run_id, on_progress)
    with connected(warehouse.url) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        if not exists(connection, stored_in_use(connection, source.table)) or not exists(connection, built.table):
            return _of_one_table(source, built.rows, exists(connection, built.table))
        return _Comparison(source, warehouse, connection).verification()


def _of_one_table(source: Source, rows: int, is_built: bool) -> Verification:  # noqa: FBT001 -- of this module
    if not is_built:
        return Verification(0, 0, {}, (), (f"No delivery of {source.name} can be loaded: nothing was compared.",))
    why = f"there is no table {source.table}"
    return Verification(0, rows, {why: rows} if rows else {}, (), ())


class _Comparison:
    """Compares both tables in one snapshot."""

    def __init__(self, source: Source, warehouse: Warehouse, connection: Connection) -> None:
        self._source = source
        self._warehouse = warehouse
        self._connection = connection
        self._seed = hash_seed(source.row_schema)
        in_use = stored_in_use(connection, source.table)
        self._in_use = in_use
        self._gets_versions = in_use == source.table != source.stored_table
        self._loses_versions = in_use != source.table == source.stored_table
        other_form = self._gets_versions or self._loses_versions
        key = key_of(connection, in_use)
        hashes = not other_form and not entries.other_seeds(connection, source.name, self._seed)
        self._tables = TableDifference(
            connection,
            source.table if other_form else in_use,
            beside(source.table) if other_form else stored_beside(source),
            source.schema if other_form else source.row_schema,
            Extension() if other_form else source.extension,
            key[: len(source.schema.key)] if self._loses_versions else key,
            offset=OFFSET,
            hashes=hashes,
        )
        self._hashes_are_compared = hashes and not set(source.schema.names) & set(self._tables.left_out)
        self._states = deliveries.states(connection, source.name, source.fingerprint)

    def verification(self) -> Verification:
        equal, pairs = self._tables.count()
        reasons: Counter[str] = Counter()
        for pair, number in pairs:
            if pair.kind != "mark":
                reasons[self._why(pair)] += number
        wrong_marks = self._wrong_marks([pair for pair, _ in pairs])
        marks = sum(number for pair, number in pairs if pair.kind == "mark")
        for difference in wrong_marks:
            reasons[difference.why] += 1
        listed = [self._difference(example) for example in self._tables.examples(SHOWN, ("mark",))]
        return Verification(
            equal=equal + marks - len(wrong_marks),
            differing=sum(reasons.values()),
            reasons=dict(reasons.most_common()),
            differences=tuple([*listed, *wrong_marks][:SHOWN]),
            notes=tuple(self._notes()),
        )

    def _notes(self) -> list[str]:
        """Return what could not be compared."""
        notes, tables = [], self._tables
        if self._gets_versions:
            notes.append(f"{self._in_use} has no versions. Only the current rows are compared.")
        if self._loses_versions:
            notes.append(f"{self._in_use} has versions, and none are declared. Only the current rows are compared.")
        if tables.former_key != tables.declared_key:
            notes.append(
                f"The table in use has the key ({', '.join(tables.former_key)}), and "
                f"({', '.join(tables.declared_key)}) is declared. Rows are compared by the record that gave them their "
                "contents."
            )
        elif not tables.key and tables.declared_key:
            notes.append("The key has another type. Rows are compared by the record that gave them their contents.")
        if tables.left_out:
            notes.append(
                f"Not compared, since the table in use lacks them or has them with another type: "
                f"{', '.join(tables.left_out)}."
            )
        if not self._hashes_are_compared:
            notes.append("Row hashes were computed in different ways, and are not compared.")
        return notes

    def _difference(self, example: Example) -> Difference:
        columns = example.columns if example.pair.kind in {"contents", "times"} else ()
        return Difference(example.pair.kind, self._row(example.key), columns, self._why(example.pair))

    def _row(self, key: tuple[str, ...]) -> str:
        """Return a key for people."""
        if not self._tables.key:
            return f"delivery {key[0]}, record {key[1]}"
        schema = self._source.schema
        shown = [
            f"{name}={value}"
            for name, value in zip(self._tables.key, key, strict=True)
            if name not in schema.names or not schema[name].sensitive
        ]
        return ", ".join(shown) or "a key that is not shown, since it is sensitive"

    def _why(self, pair: Pair) -> str:
        """Return why rows differ, as a clause about the table in use."""
        if pair.live is not None and pair.live not in self._states:
            return _NO_ROW
        for delivery in (pair.new, pair.live):
            if delivery is not None and (state := self._states.get(delivery)):
                return f"delivery {delivery} {state}"
        if waiting := [id_ for id_, state in self._states.items() if state]:
            ids = ", ".join(map(str, waiting[:5]))
            return f"deliveries are not loaded under today's declaration, and may have changed it: {ids}"
        if self._tables.former_key != self._tables.declared_key:
            return "the table has another key, by which another record stays"
        return {
            "missing": "it was deleted by hand: every delivery is loaded, and none lacks it",
            "extra": "it was inserted by hand, or its mark was changed: the record does not yield it",
            "contents": "it was changed by hand: its row hash is that of the right contents"
            if pair.same_hash
            else "it was changed by hand: the record does not yield it",
            "times": "its times, or the delivery that ended it, were changed by hand: its contents are right",
            "hash": "its row hash was changed by hand: its contents are right",
            "mark": "its mark was changed by hand: the record that it names does not yield it",
        }[pair.kind]

    def _wrong_marks(self, pairs: list[Pair]) -> list[Difference]:
        """Read the records that rows in use are marked with, and return the rows that they do not yield.

        A row that several deliveries have may have the mark of any of them, as they were loaded in another order.
        """
        wrong: list[Difference] = []
        for live in sorted({pair.live for pair in pairs if pair.kind == "mark" and pair.live is not None}):
            marked = self._tables.marks(live)
            pair = Pair("mark", live, None, same_hash=True, same_record=False)
            copy = deliveries.by_id(self._connection, live + OFFSET)
            yielded = set() if copy is None else self._yielded(copy, {record for record, _, _ in marked})
            wrong += [
                Difference("mark", self._row(key), (), self._why(pair))
                for record, hash_, key in marked
                if (record, hash_) not in yielded
            ]
        return wrong

    def _yielded(self, delivery: Delivery, records: set[int]) -> set[tuple[int, int]]:
        """Return record and row hash of each row that some records of a delivery yield."""
        manifest = delivery.manifest
        skip = frozenset(span.batch for span in manifest.spans if records.isdisjoint(span.numbers))
        corrected = corrected_records(delivery, partial(connected, self._warehouse.url))
        found: set[tuple[int, int]] = set()
        for batch in batches(self._source, delivery.partition, manifest, self._warehouse.store, skip, corrected):
            self._connection.execute("SELECT")
            rows = batch.rows.filter(pl.col(RECORD_NO).is_in(list(records)))
            hashed = rows.with_columns(
                row_hashes(rows, self._source.writer.compared(self._source.row_schema), self._seed)
            )
            found.update(hashed.select(RECORD_NO, ROW_HASH).iter_rows())
        return found
