"""The complete ingest of a file with types leaves what it leaves if its values are read as text."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from etl_assets import Parquet
from etl_assets.schema import Column, Schema
from etl_assets_tests.conformance.test_parquet_conforms import parquet

if TYPE_CHECKING:
    from etl_assets_tests.ingest.world import World

_COLUMNS: Final = (
    Column("id", "integer", required=True),
    Column("word", "text"),
    Column("share", "float", minimum=0),
    Column("price", "decimal", precision=8, scale=2, required=True),
    Column("day", "date", formats=("%d.%m.%Y",)),
    Column("read_at", "timestamp", zone="Europe/Paris"),
    Column("is_new", "boolean", true=("Y",), false=("N",)),
)
_RECORDS: Final = 30
_TABLE: Final = pa.table(
    {
        "id": pa.array([n % 20 for n in range(_RECORDS)], pa.int16()),
        "word": pa.array([b"w\xff" if n == 15 else b"word" for n in range(_RECORDS)]).view(pa.string()),
        "share": [float("nan") if n == 13 else n - 2.5 for n in range(_RECORDS)],
        "price": pa.array(
            [None if n == 7 else Decimal(n) / 8 if n == 9 else Decimal(n) / 4 for n in range(_RECORDS)],
            pa.decimal128(12, 3),
        ),
        "day": [None if n % 3 else date(2024, 2, 1 + n % 28) for n in range(_RECORDS)],
        "read_at": pa.array([datetime(2024, 3, 31, n % 24, 30) for n in range(_RECORDS)], pa.timestamp("ns")),  # noqa: DTZ001
        "is_new": [n % 2 == 0 for n in range(_RECORDS)],
    }
)
_AS_TEXT: Final = ("0 is no value",)
"""A null word that begins like a number, and that no cell is: with it, all values are read as text."""


_BROKEN: Final = {
    ("share__minimum",),
    ("share__minimum", "read_at__type"),
    ("read_at__type",),
    ("price__type",),
    ("price__required",),
}
_CORRECTED: Final = [("word", 3.5, None), ("plum", None, date(2024, 1, 31))]
_QUESTIONS: Final = (
    "{columns}, _record_no, _row_hash FROM core.{name} ORDER BY id",
    "record_no, generation, location, raw, fields, rules, status, correction FROM etl.rejected {of_source} ORDER BY 1",
    "generation, kind, number, read, rejected, produced, duplicate, rules FROM etl.batch {of_source} ORDER BY 1, 3, 2",
    "published, cells FROM etl.observation {of_source}",
    "column_name, rows, nulls, minimum, maximum, mean, quantiles, top FROM etl.profile {of_source} ORDER BY 1",
)


def test_a_file_leaves_the_same_whether_its_values_or_their_texts_are_validated(world: World) -> None:
    worlds = [
        replace(world, name=name, schema=_schema(), format=Parquet(null=null, batch_bytes=400))
        for name, null in (("typed", ()), ("text", _AS_TEXT))
    ]
    loaded, replayed, reloaded = (
        [step(one) for one in worlds] for step in (_load, _correct_and_replay, _reload_under_a_stricter_schema)
    )
    assert loaded[0] == loaded[1]
    assert replayed[0] == replayed[1]
    assert reloaded[0] == reloaded[1]
    assert {tuple(record.rules) for record in worlds[0].waiting()} == _BROKEN
    assert (
        worlds[0].query("SELECT word, share, day FROM core.typed WHERE _record_no IN (14, 16) ORDER BY id")
        == _CORRECTED
    )
    assert [one.other(schema=_schema(least=2)).violations() for one in worlds] == [[], []]


def _schema(*, least: float = 0) -> Schema:
    return Schema(tuple(c if c.name != "share" else c.replace(minimum=least) for c in _COLUMNS), key=("id",))


def _load(world: World) -> list[Any]:
    path = world.folder / world.name / "goods.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(parquet(_TABLE))
    world.load(world.land().delivery)
    return _contents(world)


def _correct_and_replay(world: World) -> list[Any]:
    corrections: dict[int, dict[str, str | None]] = {
        14: {"share": "3.5"},
        16: {
            **dict.fromkeys(("share", "read_at", "is_new")),
            "id": "15",
            "word": "plum",
            "price": "1.25",
            "day": "31.01.2024",
        },
    }
    for record in world.waiting():
        if record.record_no in corrections:
            world.correct(record, **corrections[record.record_no])
    world.replay()
    return _contents(world)


def _reload_under_a_stricter_schema(world: World) -> list[Any]:
    stricter = world.other(schema=_schema(least=2))
    stricter.load(stricter.land().delivery)
    return _contents(stricter)


def _contents(world: World) -> list[Any]:
    """Return what the warehouse has of a source, without ids and times."""
    names = ", ".join(world.schema.names)
    of_source = f"WHERE delivery_id IN (SELECT id FROM etl.delivery WHERE source = '{world.name}')"
    return [
        world.query(f"SELECT {question.format(name=world.name, columns=names, of_source=of_source)}")
        for question in _QUESTIONS
    ]
