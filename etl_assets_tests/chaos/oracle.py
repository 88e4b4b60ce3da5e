"""The oracle: computes from what was published and entered what the warehouse must contain, and compares.

It is plain Python over the standard library and reads the database; it imports nothing of the project, so that no
error of the project can be in both.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import psycopg

from etl_assets_tests.chaos.expected import fields_of, key_of, merged, names_of, row_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets_tests.chaos.expected import Fields, Log, Row

_GONE_SECONDS: Final = 5.0
_HISTORIES: Final = {"history", "history of snapshots", "ordered history"}


@dataclass(frozen=True)
class Delivered:
    """A delivery as the database has it."""

    id: int
    partition: str
    sha256: str
    status: str
    generation: int
    records: int


@dataclass(frozen=True)
class Quarantined:
    """A record in the quarantine as the database has it."""

    raw: bytes
    status: str
    generation: int
    correction: Fields | None
    correction_counts: bool
    replays: int


def judge(url: str, log: Log, landing: Path) -> list[str]:
    """Return every difference between what the warehouse contains and what it must contain.

    Args:
        url: Of the warehouse. Nothing writes it meanwhile.
        log: What was done.
        landing: The folder of the landing store.
    """
    with psycopg.connect(url, autocommit=True, application_name="oracle") as connection:
        judged = _Judgement(connection, log)
        differences = [*judged.deliveries(), *judged.table(), *judged.ledger(), *judged.left_behind()]
        if log.cut != "frames":
            differences += [*judged.quarantine(), *_frozen(judged.delivered, log, landing)]
    return differences


STATUSES = frozenset({"open", "parked", "replayed", "dismissed", "superseded", "repeated", "known", "corrected"})
"""Every status of a record in the quarantine."""


class _Judgement:
    """Compares the warehouse with the log."""

    def __init__(self, connection: psycopg.Connection[Row], log: Log) -> None:
        self._connection = connection
        self._log = log
        self.delivered = {
            row[0]: Delivered(*row)
            for row in self._query(
                "SELECT id, partition, sha256, status, generation, records FROM etl.delivery WHERE source = %s "
                "ORDER BY id",
                log.source,
            )
        }
        self._quarantined = {
            (delivery, number): Quarantined(bytes(raw), *state)
            for delivery, number, raw, *state in self._query(
                "SELECT delivery_id, record_no, raw, status, generation, correction, correction_counts, replays "
                "FROM etl.rejected WHERE source = %s",
                log.source,
            )
        }

    def _query(self, query: str, *values: object) -> list[Row]:
        return self._connection.execute(query.encode(), values).fetchall()

    def deliveries(self) -> list[str]:
        """Compare the deliveries with what was published and landed."""
        differences = []
        log = self._log
        known = {(each.partition, each.sha256) for each in self.delivered.values()}
        for each in self.delivered.values():
            content = log.published.get((each.partition, each.sha256))
            if content is None:
                differences.append(f"delivery {each.id} of {each.partition} has bytes that were never published")
            elif each.records != len(content.records):
                differences.append(f"delivery {each.id} has {each.records} records instead of {len(content.records)}")
            if each.status != "complete" and log.cut != "frames":
                differences.append(f"delivery {each.id} of {each.partition} is {each.status} at the end")
        differences += [
            f"a landing of {partition} is lost" for partition, sha in log.landed if (partition, sha) not in known
        ]
        for partition, sha256 in log.current.items():
            newest = [each for each in self.delivered.values() if each.partition == partition]
            if not newest or newest[-1].sha256 != sha256:
                differences.append(f"the newest delivery of {partition} is not what is published")
        return differences

    def effective(self, delivery: Delivered, number: int) -> Fields | None:
        """Return the fields that a record counts with; None if it cannot be parsed."""
        content = self._log.published[delivery.partition, delivery.sha256]
        published = fields_of(content, number)
        kept = self._quarantined.get((delivery.id, number))
        entered = self._log.corrections.get((delivery.id, number))
        if kept is None or not entered or not kept.correction_counts:
            return published
        return (published or {}) | merged(entered)

    def row(self, delivery: Delivered, number: int) -> Row | None:
        """Return the row of a record's effective contents; None if it is invalid or left out."""
        verdict = row_of(self.effective(delivery, number), self._log, delivery.partition)
        return None if isinstance(verdict, str) else verdict

    def table(self) -> list[str]:
        """Compare the table with the winner of each key, and each row with the record that its mark names."""
        log = self._log
        if log.mode in {"append", "replace"}:
            return self._records()
        expected = self._expected()
        if not self._query("SELECT to_regclass(%s)::text", log.table)[0][0]:
            return [f"there is no table, and {len(expected)} rows are expected"] if expected else []
        names = ", ".join(names_of(log))
        rows = self._query(f"SELECT {names}, _delivery_id, _record_no FROM {log.table}")
        key = slice(2) if log.cut != "files" else slice(1)
        actual = {row[key]: row[:-2] for row in rows}
        differences = [f"{len(rows) - len(actual)} keys are in the table twice"] if len(rows) != len(actual) else []
        differences += [
            f"the table has {actual.get(of)} and must have {expected.get(of)} for {of}"
            for of in sorted({*expected, *actual})
            if actual.get(of) != expected.get(of)
        ]
        for *row, delivery, number in rows:
            named = self.delivered.get(delivery)
            if named is None or not 1 <= number <= named.records or self.row(named, number) != tuple(row):
                differences.append(f"the row {row} does not come from record {number} of delivery {delivery}")
        differences += self._marks() if log.mode == "marked" else []
        if log.mode == "ordered history":
            return differences + self._differing_versions(self._ordered_versions())
        return differences + (self._differing_versions(self._versions()) if log.mode in _HISTORIES else [])

    def _records(self) -> list[str]:
        """Compare a table without a key with the records that must be in it, by delivery and number."""
        log = self._log
        kept = [each for each in self.delivered.values() if each.status == "complete"]
        if log.mode == "replace":
            kept = list({each.partition: each for each in kept}.values())
        rows = {(each.id, number): self.row(each, number) for each in kept for number in range(1, each.records + 1)}
        expected = {mark: row for mark, row in rows.items() if row is not None}
        if not self._query("SELECT to_regclass(%s)::text", log.table)[0][0]:
            return [f"there is no table, and {len(expected)} rows are expected"] if expected else []
        names = ", ".join(names_of(log))
        found = self._query(f"SELECT {names}, _delivery_id, _record_no FROM {log.table}")
        actual = {row[-2:]: row[:-2] for row in found}
        differences = ["a record is in the table twice"] if len(found) != len(actual) else []
        return differences + [
            f"the table has {actual.get(mark)} and must have {expected.get(mark)} for record {mark}"
            for mark in sorted({*expected, *actual})
            if actual.get(mark) != expected.get(mark)
        ]

    def _expected(self) -> dict[Row, Row]:
        """Return the winning row of each key."""
        log = self._log
        if log.mode in {"snapshot", "history of snapshots"}:
            return self._of_snapshots()
        best: dict[Row, tuple[Row, Row]] = {}
        complete = [each for each in self.delivered.values() if each.status == "complete"]
        if log.cut == "frames" and log.replaces:
            newest = {each.partition: each for each in complete}
            complete = list(newest.values())
        for each in complete:
            for number in range(1, each.records + 1):
                row = self.row(each, number)
                if row is None:
                    continue
                key, version = (row[:1], row[2]) if log.cut == "files" else (row[:2], row[-1])
                if log.cut == "days":
                    version = row[3]
                is_ordered = log.declared.ordered or log.mode == "ordered history"
                order = (version if is_ordered else 0, each.partition, each.id, number)
                if key not in best or best[key][0] < order:
                    best[key] = (order, row)
        return {key: row for key, (_, row) in best.items()}

    def _of_snapshots(self) -> dict[Row, Row]:
        """Return the rows that snapshots leave, one after the other: each deletes what it does not publish."""
        tables: dict[str, dict[Row, Row]] = {}
        for _, scope, rows, published in self._snapshots():
            table = tables.get(scope, {})
            kept = {key: row for key, row in table.items() if None in published or key in published or key in rows}
            tables[scope] = kept | rows
        return {key: row for table in tables.values() for key, row in table.items()}

    def _marks(self) -> list[str]:
        """Compare the marks with when the delivery was fetched that followed the last one which published the key."""
        times: dict[int, object] = dict(
            self._query("SELECT id, fetched_at FROM etl.delivery WHERE source = %s", self._log.source)
        )
        expected: dict[str, dict[Row, object]] = {}
        for id_, scope, rows, published in self._snapshots():
            since = expected.setdefault(scope, {})
            for key, at in since.items():
                there = None in published or key in published or key in rows
                since[key] = None if there else at or times[id_]
            since.update(dict.fromkeys(rows, None))
        of = {key: at for since in expected.values() for key, at in since.items()}
        names = ", ".join(names_of(self._log)[: 1 if self._log.cut == "files" else 2])
        marks = {row[:-1]: row[-1] for row in self._query(f"SELECT {names}, _deleted_at FROM {self._log.table}")}
        ((current,),) = self._query(f"SELECT count(*) FROM {self._log.table}_current")
        differences = [
            f"the mark of {key} is {marks.get(key)} and must be {of.get(key)}"
            for key in sorted({*marks, *of})
            if marks.get(key) != of.get(key)
        ]
        if current != sum(at is None for at in marks.values()):
            differences.append(f"the view has {current} rows")
        return differences

    def _versions(self) -> list[Row]:
        """Return the versions that the deliveries make, one after the other, each with its beginning and its end."""
        log = self._log
        times: dict[int, object] = dict(
            self._query("SELECT id, valid_from FROM etl.delivery WHERE source = %s", log.source)
        )
        expected: list[Row] = []
        scopes: dict[str, dict[Row, tuple[Row, object]]] = {}
        for id_, scope, rows, published in self._snapshots():
            current, at = scopes.setdefault(scope, {}), times[id_]
            whole = log.mode == "history of snapshots" and None not in published
            for key in [key for key in current if whole and key not in published and key not in rows]:
                row, began = current.pop(key)
                expected.append((*row, began, at))
            for key, row in rows.items():
                if key in current and current[key][0] != row:
                    expected.append((*current[key][0], current[key][1], at))
                if key not in current or current[key][0] != row:
                    current[key] = (row, at)
        return expected + [(*row, began, None) for current in scopes.values() for row, began in current.values()]

    def _ordered_versions(self) -> list[Row]:
        """Return the newest row of each key and version, each with its beginning and its end."""
        of_key, version = (slice(1), 2) if self._log.cut == "files" else (slice(2), 3)
        newest: dict[Row, dict[int, Row]] = {}
        for each in sorted(self.delivered.values(), key=lambda delivered: (delivered.partition, delivered.id)):
            numbers = range(1, each.records + 1) if each.status == "complete" else ()
            for row in filter(None, (self.row(each, number) for number in numbers)):
                newest.setdefault(row[of_key], {})[row[version]] = row
        expected: list[Row] = []
        for rows in newest.values():
            days = [datetime(2024, 1, day, tzinfo=UTC) for day in sorted(rows)]
            expected += [(*rows[at.day], at, end) for at, end in zip(days, [*days[1:], None], strict=True)]
        return expected

    def _differing_versions(self, expected: list[Row]) -> list[str]:
        """Compare the table of versions with those that it must have."""
        log = self._log
        of_key = slice(1) if log.cut == "files" else slice(2)
        names = ", ".join(names_of(log))
        # psycopg cannot read an infinite time, which no version may keep
        ends = "CASE WHEN _valid_to = '-infinity' THEN '1900-01-01Z' ELSE _valid_to END"
        found = self._query(f"SELECT {names}, _valid_from, {ends} FROM {log.table}_history")
        missing, others = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
        return [
            *(f"the version {version} is missing" for version in sorted(missing, key=repr)),
            *(f"there is a version {version}, of the key {version[of_key]}" for version in sorted(others, key=repr)),
        ]

    def _snapshots(self) -> Iterator[tuple[int, str, dict[Row, Row], set[Row | None]]]:
        """Yield, of each complete delivery: id, scope, rows by key, keys of rejected records; None if it may be any."""
        log = self._log
        of_key = slice(1) if log.cut == "files" else slice(2)
        complete = [each for each in self.delivered.values() if each.status == "complete"]
        for each in sorted(complete, key=lambda delivered: (delivered.partition, delivered.id)):
            rows: dict[Row, Row] = {}
            published: set[Row | None] = set()
            for number in range(1, each.records + 1):
                fields = self.effective(each, number)
                row = row_of(fields, log, each.partition)
                if isinstance(row, tuple):
                    rows[row[of_key]] = row
                elif row is not None:
                    published.add(key_of(fields, log))
            yield each.id, "" if log.cut == "files" else each.partition, rows, published

    def quarantine(self) -> list[str]:
        """Compare the quarantine with the records whose effective contents are invalid."""
        differences = []
        for each in self.delivered.values():
            records = self._log.published[each.partition, each.sha256].records
            kept = {number: record for (id_, number), record in self._quarantined.items() if id_ == each.id}
            differences += [
                f"record {number} of delivery {each.id} is kept as {record.raw!r}"
                for number, record in kept.items()
                if not 1 <= number <= len(records) or record.raw != records[number - 1]
            ]
            rejected = {
                number
                for number, record in kept.items()
                if record.generation == each.generation and record.status not in {"replayed", "superseded"}
            }
            invalid = {
                number
                for number in range(1, len(records) + 1)
                if isinstance(row_of(self.effective(each, number), self._log, each.partition), str)
            }
            if rejected != invalid:
                differences.append(
                    f"the quarantine has the valid records {sorted(rejected - invalid)} of delivery {each.id}, "
                    f"and lacks {sorted(invalid - rejected)}"
                )
        return differences + self._people()

    def _people(self) -> list[str]:
        """Compare the corrections, replays and dismissals with those that people made."""
        differences = []
        log = self._log
        for (delivery, number), record in self._quarantined.items():
            at = (delivery, number)
            name = f"record {number} of delivery {delivery}"
            entered = log.corrections.get(at)
            if record.correction != (merged(entered) if entered else None):
                differences.append(f"the correction of {name} is {record.correction}, and {entered} was entered")
            if record.replays > (tries := log.tries[at] + log.tries_of_all):
                differences.append(f"{name} was replayed {record.replays} times, and {tries} times at most")
            if at in log.acknowledged and not record.correction_counts:
                differences.append(f"the replay of {name} is lost")
            allowed = {"dismissed", "superseded"} if at in log.dismissed else STATUSES - {"dismissed"}
            if record.status not in allowed:
                differences.append(f"{name} is {record.status}")
        return differences

    def ledger(self) -> list[str]:
        """Check that the counts of the ledger add up, for each entry, each delivery and the table."""
        log = self._log
        entries = self._query(
            "SELECT d.id, b.kind, b.generation = d.generation, b.number, b.first_record, b.last_record, b.read, "
            "b.rejected, b.filtered, b.accepted, b.produced, b.inserted, b.updated, b.unchanged, b.duplicate, "
            "b.inserted - CASE WHEN jsonb_exists(b.notes, 'marked') THEN 0 ELSE b.deleted END "
            "+ coalesce((b.notes ->> 'versions')::bigint, 0) FROM etl.batch b "
            "JOIN etl.delivery d ON d.id = b.delivery_id WHERE d.source = %s "
            "ORDER BY d.id, b.number",
            log.source,
        )
        differences = [
            f"the counts of {entry[1]} batch {entry[3]} of delivery {entry[0]} do not add up"
            for entry in entries
            if entry[6] != sum(entry[7:10]) or entry[10] != sum(entry[11:15])
        ]
        for each in self.delivered.values():
            own = [entry for entry in entries if entry[0] == each.id and entry[1] == "ingest" and entry[2]]
            kept = [
                r for (id_, _), r in self._quarantined.items() if id_ == each.id and r.generation == each.generation
            ]
            if each.status == "complete" and sum(entry[6] for entry in own) != each.records:
                differences.append(f"the ledger of delivery {each.id} has not read each record once")
            if [entry[4] for entry in own] != [1, *(entry[5] + 1 for entry in own)][: len(own)]:
                differences.append(f"the batches of delivery {each.id} do not follow one another")
            if sum(entry[7] for entry in own) != len(kept):
                differences.append(f"the ledger of delivery {each.id} does not count its {len(kept)} rejected records")
        if self._query("SELECT to_regclass(%s)::text", log.table)[0][0]:
            history = "_history" if log.mode in _HISTORIES else ""
            ((rows,),) = self._query(f"SELECT count(*) FROM {log.table}{history}")
            if rows != sum(entry[15] for entry in entries):
                differences.append(f"the table has {rows} rows, and the ledger {sum(entry[15] for entry in entries)}")
        return differences

    def left_behind(self) -> list[str]:
        """Return sessions, locks and temporary tables that runs have left, and the deadlocks that they met.

        The server ends the session of a client that is gone when it next looks, so that it has some time for it.
        """
        until = time.monotonic() + _GONE_SECONDS
        while (found := self._left_now()) and time.monotonic() < until:
            time.sleep(0.1)
        return found

    def _left_now(self) -> list[str]:
        return [
            text
            for (text,) in self._query(
                "SELECT 'an advisory lock is held' FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
                "WHERE l.locktype = 'advisory' AND d.datname = current_database() UNION ALL "
                "SELECT 'the temporary table ' || relname || ' is left' FROM pg_class WHERE relkind = 'r' "
                "AND starts_with(relname, 'etl_') UNION ALL "
                "SELECT 'a session is ' || state FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND backend_type = 'client backend' UNION ALL "
                "SELECT deadlocks || ' deadlocks' FROM pg_stat_database WHERE datname = current_database() "
                "AND deadlocks > 0"
            )
        ]


def _frozen(delivered: dict[int, Delivered], log: Log, landing: Path) -> list[str]:
    """Compare the bytes in the landing store with those published.

    A run that is killed while it lands leaves its temporary file; that is known, and any other file is reported.
    """
    differences = []
    for each in delivered.values():
        path = landing / each.sha256[:2] / f"{each.sha256}.bytes"
        if not path.exists() or path.read_bytes() != log.published[each.partition, each.sha256].data:
            differences.append(f"the bytes of delivery {each.id} are not those that were published")
    temporary = [path.name for path in landing.iterdir() if path.name.startswith(".")] if landing.exists() else []
    if len(temporary) > log.killed:
        differences.append(f"the landing store has {len(temporary)} temporary files, and {log.killed} runs were killed")
    return differences
