"""Which format a file is recognised as, by its contents."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from etl_assets import Csv, Excel, FixedWidth, Json, Ndjson, Parquet, SqlDump, Sqlite, Xml
from etl_assets.errors import DeliveryError
from etl_assets.infer import declaration, infer
from etl_assets.infer.replay import Replay
from etl_assets_tests.extract.workbooks import workbook

if TYPE_CHECKING:
    from pathlib import Path

    from etl_assets.extract.base import Format

DUMP = b"CREATE TABLE `a` (id INT) ENGINE=InnoDB;\nINSERT INTO `a` VALUES (1),(2);\nINSERT INTO `b` (x) VALUES (1);\n"
DOCUMENT = b'<l xmlns:p="urn:p"><i><p:n>1</p:n><t>a</t><t>b</t></i><i><p:n>2</p:n></i></l>'


def recognised(folder: Path, data: bytes, part: str | None = None) -> Format:
    (folder / "file").write_bytes(data)
    with infer(str(folder / "file"), "feed", {}, part=part) as inference:
        return inference.recognised.format


@pytest.mark.parametrize(
    ("data", "format_"),
    [
        (b'{"a": 1}\n{"a": 2}\n', Ndjson()),
        (b'[{"a": 1}, {"a": 2}]', Json()),
        (json.dumps({"n": 2, "data": {"items": [{"a": 1}, {"a": 2}]}}).encode(), Json("$.data.items")),
        (b'{"rates": {"x": {"a": 1}, "y": {"a": 2}, "z": {"a": 3}}}', Json("$.rates.*", key_name="key")),
        (DOCUMENT, Xml("/l/i", (("p", "urn:p"),), ("t",))),
        (DUMP, SqlDump("a", "mysql")),
        (b"1  Ann    10\n2  Bo    200\n3  Cleo    3\n", FixedWidth),
        (b"a||b\n1||x\n2||y\n", Csv("||")),
        (b"a,b\r1,x\r2,y\r", Csv(line_end="\r")),
        (b"a;b\n1,5;x\n2,25;y\n", Csv(";", decimal=",")),
        (b"a,b\n1,x\n2\\,6,y\n3,z\n", Csv(escape="\\")),
    ],
)
def test_a_text_is_recognised_by_its_contents(tmp_path: Path, data: bytes, format_: Format | type[Format]) -> None:
    found = recognised(tmp_path, data)
    assert isinstance(found, format_) if isinstance(format_, type) else found == format_


def test_a_database_is_read_in_its_table_with_the_most_rows_unless_another_one_is_named(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "db")
    connection.executescript(
        "CREATE TABLE a (x); CREATE TABLE b (x); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1), (2);"
    )
    connection.close()
    data = (tmp_path / "db").read_bytes()
    assert recognised(tmp_path, data) == Sqlite(table="b")
    assert recognised(tmp_path, data, "A") == Sqlite(table="a")
    with pytest.raises(DeliveryError, match=r"has no 'c'\. It has 'a', 'b'\."):
        recognised(tmp_path, data, "c")


def test_a_sheet_is_named_although_no_row_of_the_others_can_be_read(tmp_path: Path) -> None:
    def add_sheet(writer: Any, _: Any) -> None:
        no_date = writer.add_format({"num_format": "yyyy-mm-dd"})
        writer.add_worksheet("Notes").write_number(0, 0, 1e9, no_date)

    assert recognised(tmp_path, workbook(["id", "word"], [1, "x"], [2, "y"], change=add_sheet)) == Excel(sheet="Sheet1")


def test_a_parquet_file_is_recognised(tmp_path: Path) -> None:
    data = io.BytesIO()
    pl.DataFrame({"a": [1, 2]}).write_parquet(data)
    assert recognised(tmp_path, data.getvalue()) == Parquet()


@pytest.mark.parametrize("data", [b"[]", b"[ ]\n", b"{}", b"[{}, {}]"])
def test_a_document_without_a_record_or_without_a_field_is_refused_as_one(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DeliveryError, match=r"file has no record\. Nothing was inferred\."):
        recognised(tmp_path, data)


def test_an_empty_file_is_refused_as_one(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match=r"file is empty\. Nothing was inferred\."):
        recognised(tmp_path, b"")


def test_a_web_page_and_a_document_with_a_type_declaration_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="is a web page"):
        recognised(tmp_path, b"<html><body/></html>")
    with pytest.raises(DeliveryError, match="document type declaration"):
        recognised(tmp_path, b"<!DOCTYPE l><l><i/><i/></l>")


def test_a_document_that_begins_like_xml_and_is_cut_is_refused_as_one(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match=r"cannot be read as such: no element found: line 1, column 4\d\."):
        recognised(tmp_path, b'<?xml version="1.0"?><l><i>1</i><i>2</i>\n'.strip())


def test_words_within_strings_are_no_signs_of_a_dialect(tmp_path: Path) -> None:
    dump = b"BEGIN TRANSACTION;\nCREATE TABLE film (t TEXT);\n" + b"INSERT INTO film VALUES('It''s Serial Mom');\n" * 2
    assert recognised(tmp_path, dump + b"COMMIT;\n") == SqlDump("film", "sqlite")


def test_the_largest_member_of_an_archive_is_read_and_declared_by_its_ending(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("README.txt", "read me")
        archive.writestr("2024[1].csv", "a,b\n1,x\n2,y\n")
    with infer(str(tmp_path / "x.zip"), "feed", {}) as inference:
        text = declaration(inference)
    assert '        member="*.csv",\n' in text
    assert "# 1 smaller members of the archive match, too: 'README.txt'." in text


def test_a_member_of_a_tar_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a,b\n1,x\n2,y\n")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "x.csv", "x.csv")
    with infer(str(tmp_path / "x.tar.gz"), "feed", {}) as inference:
        assert (inference.file.member, inference.sample.records) == ("x.csv", 2)


def test_no_more_of_a_stream_is_fetched_than_is_read() -> None:
    stream = io.BytesIO(bytes(10 * 1024 * 1024))
    replay = Replay(stream, io.BytesIO())
    assert len(replay.read(100)) == 100
    replay.seek(0)
    assert len(replay.read(200)) == 200
    assert stream.tell() <= 1024 * 1024
    assert replay.seek(0, io.SEEK_END) == 10 * 1024 * 1024


@pytest.mark.parametrize("good", [2, 3, 5, 9, 50])
@pytest.mark.parametrize("place", [0, 1])
def test_a_line_that_is_cut_leaves_the_others_json_objects(tmp_path: Path, good: int, place: int) -> None:
    lines = [b'{"id": %d, "code": "0%d"}\n' % (number, number) for number in range(good)]
    lines.insert(place, b'{"id": 1001, "code": "0\n')
    assert recognised(tmp_path, b"".join(lines)) == Ndjson()


def test_a_first_line_without_its_beginning_leaves_the_others_json_objects(tmp_path: Path) -> None:
    assert recognised(tmp_path, b'1, "b": 2}\n{"a": 1, "b": 2}\n{"a": 2, "b": 3}\n') == Ndjson()


@pytest.mark.parametrize("data", [b'{"id": 1, "n": "a"}\n{"id": 2, "n": "\n', b'{"a": [1,2,3], "b": [4,5\n'])
def test_a_broken_object_is_no_header(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DeliveryError, match="is not recognised"):
        recognised(tmp_path, data)


def test_of_a_zip_archive_the_member_that_is_largest_when_unpacked_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("noise.csv", "a,b\n" + "".join(f"{n * 7919 % 1009},{n * n % 997}\n" for n in range(50)))
        archive.writestr("table.csv", "a,b\n" + "1,2\n" * 200)
        packed = {info.filename: info.compress_size for info in archive.infolist()}
    assert packed["noise.csv"] > packed["table.csv"]
    with infer(str(tmp_path / "x.zip"), "feed", {}) as inference:
        assert inference.file.member == "table.csv"


def test_more_columns_than_a_source_may_have_are_refused(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text("\n".join(",".join(f"{row}{n}" for n in range(501)) for row in "abc") + "\n")
    with (
        pytest.raises(DeliveryError, match=r"has 501 columns; a source may have 500\. Nothing was inferred"),
        infer(str(tmp_path / "wide.csv"), "feed", {}),
    ):
        pass
