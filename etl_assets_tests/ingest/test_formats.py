"""The complete ingest of one history in each format: bad records, a correction, a second delivery, a reload."""

from __future__ import annotations

import io
import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from etl_assets import Excel, Field, FixedWidth, Json, Parquet, SqlDump, Sqlite, Xml
from etl_assets.model.counts import Counts
from etl_assets.postgres.migrations import migrate
from etl_assets.schema import Column, Schema
from etl_assets_tests.databases import fresh_database
from etl_assets_tests.ingest.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from etl_assets import Format
    from etl_assets.postgres.ledger.quarantine import Rejected

    Row = tuple[str, str, str]

_BATCH: Final = 200
_COLUMNS: Final = (Column("code", "text", required=True, pattern="[a-z]+"), Column("amount", "integer", minimum=0))
_FIRST: Final = Schema(_COLUMNS, key=("code",), ignored=("note", "@note"))
_LATER: Final = Schema((*_COLUMNS, Column("note", "text", published_as=("note", "@note"))), key=("code",))


class Feed(NamedTuple):
    """A feed of goods in a format.

    Attributes:
        format: Reads it.
        write: Returns the bytes of a file; what stands for None is a malformed record.
        bad: The bytes and the place of the second record, whose amount is a question mark.
        malformed: The bytes, the place and the rule of the third record, which is malformed.
    """

    format: Format
    write: Callable[[Sequence[Row | None]], bytes]
    bad: tuple[bytes, str]
    malformed: tuple[bytes, str, str]


def _json(rows: Sequence[Row | None]) -> bytes:
    records = [row and dict(zip(("code", "amount", "note"), row, strict=True)) for row in rows]
    return json.dumps({"goods": [17 if record is None else record for record in records]}).encode()


def _xml(rows: Sequence[Row | None]) -> bytes:
    items = [
        "<i><code>x</code><code>y</code></i>"
        if row is None
        else f'<i note="{row[2]}"><code>{row[0]}</code><amount>{row[1]}</amount></i>'
        for row in rows
    ]
    return f"<goods>{''.join(items)}</goods>".encode()


def _fixed_width(rows: Sequence[Row | None]) -> bytes:
    lines = ["short" if row is None else f"{row[0]:3}{row[1]:>5}{row[2]:10}" for row in rows]
    return "".join(f"{line}\n" for line in lines).encode()


def _sql_dump(rows: Sequence[Row | None]) -> bytes:
    values = ["('x', 1, now())" if row is None else f"('{row[0]}', '{row[1]}', '{row[2]}')" for row in rows]
    return ("INSERT INTO goods (code, amount, note) VALUES\n" + ",\n".join(values) + ";\n").encode()


def _sqlite(rows: Sequence[Row | None]) -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE goods (code, amount, note)")
    for row in rows:
        values = "'x', '1', CAST(x'ff' AS TEXT)" if row is None else "?, ?, ?"
        connection.execute(f"INSERT INTO goods VALUES ({values})", row or ())
    connection.commit()
    data = connection.serialize()
    connection.close()
    return data


def _parquet(rows: Sequence[Row | None]) -> bytes:
    cells = [("x", "1", b"\xff") if row is None else (row[0], row[1], row[2].encode()) for row in rows]
    columns = [pa.array(column, type_) for column, type_ in zip(zip(*cells, strict=True), _PARQUET, strict=True)]
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, ["code", "amount", "note"]), sink, row_group_size=8)
    return sink.getvalue()


_PARQUET: Final = (pa.string(), pa.string(), pa.binary())


def _excel(rows: Sequence[Row | None]) -> bytes:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as workbook:
        sheet = workbook.add_worksheet("goods")
        sheet.write_row(0, 0, ("code", "amount", "note"))
        for number, row in enumerate(rows, start=1):
            sheet.write_row(number, 0, row or ("x", "1"))
            if row is None:
                sheet.write_formula(number, 2, "=NA()", value="#N/A")
    return file.getvalue()


_OBJECT: Final = b'{"code": "bbb", "amount": "?", "note": "note 1"}'
_FEEDS: Final = {
    "json": Feed(
        Json("$.goods", batch_bytes=_BATCH),
        _json,
        (_OBJECT, ":$.goods[1]"),
        (b"17", ":$.goods[2]", "record__object"),
    ),
    "xml": Feed(
        Xml("/goods/i", batch_bytes=_BATCH),
        _xml,
        (b'<i note="note 1"><code>bbb</code><amount>?</amount></i>', ":/goods/i[2]"),
        (b"<i><code>x</code><code>y</code></i>", ":/goods/i[3]", "record__element_twice"),
    ),
    "fixed_width": Feed(
        FixedWidth((Field("code", 1, 3), Field("amount", 4, 8), Field("note", 9, 18)), batch_bytes=_BATCH),
        _fixed_width,
        (b"bbb    ?note 1    ", ":2"),
        (b"short", ":3", "record__length"),
    ),
    "sql_dump": Feed(
        SqlDump("goods", "postgres", batch_bytes=_BATCH),
        _sql_dump,
        (b"('bbb', '?', 'note 1')", ":3, byte 70"),
        (b"('x', 1, now())", ":4, byte 94", "record__expression"),
    ),
    "sqlite": Feed(
        Sqlite("goods", batch_bytes=_BATCH),
        _sqlite,
        (_OBJECT, ":goods:2"),
        (b'{"code": "x", "amount": "1", "note": "\xff"}', ":goods:3", "record__encoding"),
    ),
    "parquet": Feed(
        Parquet(batch_bytes=_BATCH),
        _parquet,
        (_OBJECT, ":group 1:row 2"),
        (b'{"code": "x", "amount": "1", "note": "\xff"}', ":group 1:row 3", "record__encoding"),
    ),
    "excel": Feed(
        Excel(batch_bytes=_BATCH),
        _excel,
        (b'["bbb","?","note 1"]', "!goods:3"),
        (b'["x","1",{"error": "#N/A"}]', "!goods:4", "record__error_cell"),
    ),
}


def _goods(first: int, last: int, more: int = 0) -> list[Row]:
    return [(chr(97 + number) * 3, str(number + more), f"note {number}") for number in range(first, last + 1)]


@dataclass
class History:
    """What the warehouse had after each step.

    Attributes:
        counts: Of the loads: of the first delivery, of the second, and of the reloads of both.
        rows: The table after the first delivery, the replay, the second delivery, and the reloads.
        waiting: The quarantine after the first delivery.
        batches: The number of batches of the first delivery.
        violations: What the doctor found in the end.
    """

    feed: Feed
    counts: list[Counts]
    rows: list[dict[str, tuple[Any, ...]]]
    waiting: list[Rejected]
    batches: int
    violations: list[str]


def _history(feed: Feed, world: World) -> History:
    bad: list[Row | None] = [*_goods(0, 0), ("bbb", "?", "note 1"), None, *_goods(3, 19)]
    first = world.take_bytes(feed.write(bad))
    rows, waiting = [_by_code(world)], world.waiting()
    world.correct(waiting[0], amount="1000")
    world.correct(waiting[1], code="mended", amount="2000")
    world.replay()
    rows.append(_by_code(world))
    second = world.take_bytes(feed.write(_goods(10, 24, more=100)))
    rows.append(_by_code(world))
    later = world.other(schema=_LATER)
    reloads = [later.load(report.delivery) for report in (first, second)]
    rows.append(_by_code(later))
    counts = [report.counts for report in (first, second, *reloads)]
    return History(feed, counts, rows, waiting, len(first.delivery.manifest.spans), later.violations())


def _by_code(world: World) -> dict[str, tuple[Any, ...]]:
    return {row[0]: row[1:] for row in world.rows()}


@pytest.fixture(scope="module")
def empty(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A warehouse for all formats, each of which has its own source."""
    with fresh_database(postgres_url) as url:
        migrate(url)
        yield World(url, tmp_path_factory.mktemp("goods"), _FIRST)


@pytest.fixture(scope="module", params=_FEEDS)
def history(request: pytest.FixtureRequest, empty: World) -> History:
    feed = _FEEDS[request.param]
    return _history(feed, empty.other(name=f"goods_{request.param}", format=feed.format))


def test_good_records_of_several_batches_are_loaded_and_bad_ones_are_not(history: History) -> None:
    assert history.counts[0] == Counts(read=20, rejected=2, accepted=18, produced=18, inserted=18)
    assert history.rows[0] == {row[0]: (int(row[1]),) for row in (*_goods(0, 0), *_goods(3, 19))}
    assert history.batches > 1


def test_a_bad_record_waits_with_its_bytes_its_place_and_its_rule(history: History) -> None:
    bad, malformed = history.waiting
    assert (bad.record_no, bad.raw, bad.location, bad.rules) == (2, *history.feed.bad, ["amount__type"])
    raw, place, rule = history.feed.malformed
    assert (malformed.record_no, malformed.raw, malformed.location, malformed.rules) == (3, raw, place, [rule])


def test_corrected_records_are_replayed(history: History) -> None:
    assert history.rows[1] == {**history.rows[0], "bbb": (1000,), "mended": (2000,)}


def test_a_second_delivery_changes_rows_and_adds_rows(history: History) -> None:
    assert history.rows[2] == {**history.rows[1], **{row[0]: (int(row[1]),) for row in _goods(10, 24, more=100)}}
    assert history.counts[1] == Counts(read=15, accepted=15, produced=15, inserted=5, updated=10)


def test_a_changed_declaration_reads_frozen_bytes_and_corrections_again(history: History) -> None:
    notes = {row[0]: row[2] for row in _goods(0, 24)} | {"mended": None}
    assert history.rows[3] == {code: (*row, notes[code]) for code, row in history.rows[2].items()}
    assert [counts.rejected for counts in history.counts[2:]] == [0, 0]


def test_nothing_is_violated_and_deliveries_that_are_read_again_have_the_same_records(history: History) -> None:
    assert history.violations == []
