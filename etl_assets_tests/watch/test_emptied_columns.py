"""Columns that a change of names leaves empty: which they are, and how many of their rows are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.csv import Csv
from etl_assets.landing import LandingStore, Warehouse
from etl_assets.model.partitions import Files
from etl_assets.postgres.connection import connected
from etl_assets.postgres.tables.ddl import ensure_table
from etl_assets.schema import Column, Schema
from etl_assets.source import Source
from etl_assets.watch import emptied_column
from etl_assets_tests.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from etl_assets.watch import EmptiedColumn

SCHEMA = Schema(
    columns=(
        Column("id", "integer", required=True),
        Column("tint", "text", published_as=("tint", "shade")),
        Column("size", "text", default="M"),
        Column("maker", "text", required=True),
    ),
    key=("id",),
    ignored=("remark",),
)
INSERT = "INSERT INTO core.shirts (id, tint, maker, _delivery_id, _record_no, _row_hash) VALUES (%s, %s, 'x', %s, 1, 1)"


@pytest.fixture
def watch(migrated_url: str, tmp_path: Path) -> Iterator[Watch]:
    source = Source(
        name="shirts",
        description="What is in stock.",
        owner="team:tests",
        extractor=FileExtractor(location=f"{tmp_path}/*.csv", format=Csv(), settle_seconds=0),
        schema=SCHEMA,
        partitions=Files(),
    )
    with connected(migrated_url) as connection:
        yield Watch(source, Warehouse(migrated_url, LandingStore(str(tmp_path / "landing"))), connection)


def publish(watch: Watch, folder: Path, number: int, header: str) -> int:
    """Publish a file, observe it and return the id of its delivery; a higher number is a later partition."""
    (folder / f"{number}.csv").write_text(f"{header}\n{','.join(str(number) for _ in header.split(','))}\n")
    watch.poll(f"{number}.csv", cells=False)
    return watch.delivered(f"{number}.csv").id


def emptied(watch: Watch) -> dict[str, EmptiedColumn | None]:
    """Return what each open event leaves empty, by the name that is gone or came."""
    return {
        event.change.subject: emptied_column(watch.connection, watch.source, event) for event in watch.open_events()
    }


def test_only_an_optional_column_without_a_default_is_left_empty(watch: Watch, tmp_path: Path) -> None:
    publish(watch, tmp_path, 1, "id,tint,size,maker")
    publish(watch, tmp_path, 2, "id,weight")
    found = emptied(watch)
    assert found.keys() == {"tint", "size", "maker", "weight"}
    assert [name for name, column in found.items() if column is not None] == ["tint"]


def test_without_a_table_no_row_is_counted(watch: Watch, tmp_path: Path) -> None:
    publish(watch, tmp_path, 1, "id,tint,maker")
    publish(watch, tmp_path, 2, "id,maker")
    column = emptied(watch)["tint"]
    assert column is not None
    assert (column.rows, column.nulls, column.published) == (0, 0, False)


def test_rows_of_the_first_delivery_of_the_event_and_of_newer_partitions_are_counted(
    watch: Watch, tmp_path: Path
) -> None:
    deliveries = [publish(watch, tmp_path, 2, "id,tint,maker"), publish(watch, tmp_path, 3, "id,maker")]
    deliveries += [publish(watch, tmp_path, 4, "id,maker"), publish(watch, tmp_path, 1, "id,tint,maker")]
    ensure_table(watch.connection, watch.source.table, SCHEMA)
    for id_, (delivery, tint) in enumerate(zip(deliveries * 2, [None] * 4 + ["red"] * 4, strict=True)):
        watch.connection.execute(INSERT, (id_, tint, delivery))
    column = emptied(watch)["tint"]
    assert column is not None
    assert column.since.id == deliveries[1]
    assert (column.rows, column.nulls) == (4, 2)
