"""Databases that others made: Chinook in all of its tables, and those on which importers have failed."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import DeliveryError
from etl_assets.extract.file import FileExtractor
from etl_assets.extract.formats.sqlite import Sqlite
from etl_assets.landing import LandingStore
from etl_assets.landing.land import batches, land
from etl_assets.model.partitions import Partition
from etl_assets.schema import Column, Schema
from etl_assets.validate import RuleValidator
from etl_assets_tests.real_feeds.taking import FEEDS, with_real_feeds

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.model.batch import RawBatch

pytestmark = with_real_feeds
CHINOOK = FEEDS / "chinook" / "Chinook_Sqlite.sqlite"
TORTURE = FEEDS / "torture" / "pgloader" / "test" / "sqlite"
_TABLES = ("Album", "Artist", "Customer", "Employee", "Genre", "Invoice", "InvoiceLine", "MediaType", "Playlist")


def read(path: Path, format_: Sqlite) -> list[RawBatch]:
    with path.open("rb") as file:
        return list(format_.read(file, path.name))


def cells(path: Path, table: str) -> list[tuple[Any, ...]]:
    return [row[:-1] for batch in read(path, Sqlite(table=table)) for row in batch.frame.rows()]


@pytest.mark.parametrize("table", [*_TABLES, "PlaylistTrack", "Track"])
def test_every_table_of_chinook_has_the_rows_that_its_readers_count_with_the_cells_of_the_library(table: str) -> None:
    found = cells(CHINOOK, table)
    assert len(found) == json.loads((FEEDS / "chinook" / "GROUND_TRUTH.json").read_text())[table]
    connection = sqlite3.connect(f"{CHINOOK.as_uri()}?mode=ro&immutable=1", uri=True)
    stored = connection.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall()
    connection.close()
    assert found == [tuple(None if cell is None else str(cell) for cell in row) for row in stored]


def test_chinook_in_an_archive_is_landed_and_cast(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "shop.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(CHINOOK, "shop.sqlite")
    format_ = Sqlite(table="track", batch_bytes=50_000)
    extractor = FileExtractor(location=str(tmp_path / "shop.zip"), format=format_, settle_seconds=0)
    store = LandingStore(str(tmp_path / "landing"))
    manifest = land(extractor, Partition(""), store)
    columns = (
        Column("track_id", "integer", required=True, published_as="TrackId"),
        Column("price", "decimal", precision=10, scale=2, published_as="UnitPrice"),
        Column("name", "text", required=True, published_as="Name"),
    )
    schema = Schema(columns, key=("track_id",))
    verdicts = [RuleValidator().validate(batch, schema) for batch in batches(extractor, store, manifest)]
    assert len(verdicts) > 5
    assert sum(verdict.rows.height for verdict in verdicts) == 3503
    assert all(verdict.rejected.is_empty() for verdict in verdicts)
    (last,) = batches(extractor, store, manifest, {len(verdicts)})
    assert last.location(3503) == "shop.sqlite:Track:3503"


def test_a_text_among_integers_is_rejected_by_the_column_and_nothing_else_is() -> None:
    (batch,) = read(TORTURE / "type-mismatch.db", Sqlite(table="products"))
    assert batch.frame.rows() == [("1", "apple", "10", 1), ("2", "banana", "lots-of-it", 2), ("3", "cherry", "5", 3)]
    schema = Schema((Column("id", "integer", required=True), Column("qty", "integer")), key=("id",))
    verdict = RuleValidator().validate(batch, schema)
    assert verdict.rejected.rows() == [(2, ["qty__type"])]
    assert verdict.rows["qty"].to_list() == [10, 5]


def test_a_blob_in_a_column_of_texts_is_written_as_digits() -> None:
    (batch,) = read(TORTURE / "bad-utf8.db", Sqlite(table="files"))
    assert batch.malformed.is_empty()
    assert batch.frame["filename"].to_list() == ["valid-file.txt", b"file\x96name.txt".hex(), "another-valid.txt"]


def test_the_same_bytes_as_a_text_make_their_record_malformed(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_bytes((TORTURE / "bad-utf8.db").read_bytes())
    connection = sqlite3.connect(copy)
    connection.execute("UPDATE files SET filename = CAST(filename AS TEXT)")
    connection.commit()
    connection.close()
    (batch,) = read(copy, Sqlite(table="files"))
    assert batch.malformed.rows() == [(2, ["record__encoding"])]
    assert batch.raw(2) == b'{"id": "2", "filename": "file\x96name.txt"}'


def test_names_that_differ_in_their_last_letter_stay_two_columns() -> None:
    (batch,) = read(TORTURE / "collision.db", Sqlite(table="products"))
    assert [name[-4:] for name in batch.names] == ["id", "name", "aaax", "aaay"]
    assert batch.frame.rows() == [("1", "apple", "10", "20", 1)]


def test_an_empty_table_has_names_and_no_records() -> None:
    (batch,) = read(TORTURE / "test_pk.db", Sqlite(table="division"))
    assert (batch.names, batch.span.records) == (("division_id", "division_kind_id"), 0)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("long", [("foo", "12"), ("bar", "1.2")]),
        ("reals", [("1", "0"), ("2", "1.2"), ("3", "-3.14")]),
        ("stamps", [("0", "0"), ("2014-07-30 16:18:51", "2024"), (None, None)]),
        ("intege", [("1",), ("toto",), ("12.3",)]),
        ("autoinc", [(None, "a"), (None, "b"), (None, "c")]),
        ("def", [("1", "", None), ("2", "test", "test")]),
        ("double", [("1.2", "1.3")]),
        ("references", []),
        ("tablename", []),
    ],
)
def test_types_that_columns_only_claim_do_not_change_their_cells(table: str, expected: list[tuple[Any, ...]]) -> None:
    assert cells(TORTURE / "sqlite.db", table) == expected


def test_blobs_are_digits() -> None:
    ((_, digits),) = cells(TORTURE / "sqlite.db", "blobs")
    assert bytes.fromhex(digits).startswith(b"\xff\xd8\xff\xe0\x00\x10JFIF")


def test_a_missing_table_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(DeliveryError, match="its tables are: Album, Artist, Customer"):
        list(Sqlite(table="Tracks").read(io.BytesIO(CHINOOK.read_bytes()), "shop.sqlite"))
