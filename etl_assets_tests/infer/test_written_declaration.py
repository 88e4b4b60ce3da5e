"""What is written of a file, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets import Replace, catalog
from etl_assets.infer import declaration, infer
from etl_assets.sources import airlines

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, data: bytes) -> str:
    (folder / "file").write_bytes(data)
    with infer(str(folder / "file"), "feed", {}) as inference:
        return declaration(inference)


@pytest.mark.parametrize(
    "data", [b'{"a":{"x":1},"b":[1,2]}', b"a,b\n1.5e5,\n,2.5e7\n", b"a,b\nx ,[1]\n ,[2]\nx,[1]\n", b"a,b\n1,x\n1,x\n"]
)
def test_a_file_without_a_key_replaces_the_records_of_the_one_before(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "feed.py").write_text(written(tmp_path, data), "utf-8")
    source = catalog.load_file(tmp_path / "feed.py")
    assert (source.schema.key, source.write) == ((), Replace())


def test_a_column_that_nearly_identifies_a_record_is_named(tmp_path: Path) -> None:
    lines = b"".join(b"%d,%d\n" % (number, number % 7) for number in (*range(40), 39))
    text = " ".join(written(tmp_path, b"id,kind\n" + lines).split())
    assert "identify a record; id nearly does, with 40 values in 41 records. Which do?" in text.replace("# ", "")


def test_row_names_without_a_name_are_a_column_and_a_question(tmp_path: Path) -> None:
    (tmp_path / "feed.py").write_text(written(tmp_path, b'"","mpg"\n"Mazda RX4",21\n"Datsun 710",22.8\n'), "utf-8")
    assert "The header has no name for it: what is it?" in (tmp_path / "feed.py").read_text("utf-8")
    schema = catalog.load_file(tmp_path / "feed.py").schema
    assert (schema.columns[0].published_names, schema.key, schema.ignored) == (("",), ("column",), ())


@pytest.mark.parametrize("data", [b",v\n1,a\n2,a\n3,b\n", b"v,w,\na,a,\na,b,\nb,b,\n", b",v\n0,a\n1,a\n2,b\n"])
def test_a_column_without_a_name_that_says_nothing_is_ignored(tmp_path: Path, data: bytes) -> None:
    text = written(tmp_path, data)
    assert "The column without a name numbers the records, or is empty.\n        ignored=('',)," in text.replace(
        '"', "'"
    )


def test_numbers_without_a_name_that_leave_one_out_are_a_column(tmp_path: Path) -> None:
    assert 'published_as=""' in written(tmp_path, b",v\n1,a\n3,a\n4,b\n")


def test_a_key_of_integers_that_may_be_measures_is_a_question(tmp_path: Path) -> None:
    counted = "country,year,people\nAT,2023,9105\nAT,2024,9159\nCH,2024,8902\n"
    text = " ".join(written(tmp_path, counted.encode()).replace("#", "").split())
    assert "'people' may count or measure something, so that two records can have the same." in text
    assert "may count" not in written(tmp_path, counted.replace("people", "people_id").encode())


def test_records_are_counted_below_only_if_some_are_malformed(tmp_path: Path) -> None:
    lines = b"".join(b"%d,x\n" % number for number in range(60))
    assert "counted below" not in written(tmp_path, b"id,word\n" + lines)
    assert "but those that are counted below" in " ".join(written(tmp_path, b"id,word\n" + lines + b"1\n").split())


def test_a_question_ends_with_one_sign(tmp_path: Path) -> None:
    text = written(tmp_path, b"id,mobile\n1,+43661\n2,+43662\n")
    assert "amounts?\n" in text


def test_a_likely_reference_is_a_question_of_its_column(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"id,carrier\n1,UA\n2,AA\n")
    with infer(str(tmp_path / "file"), "trips", {"airlines": airlines.SOURCE}) as inference:
        (doubt,) = next(column.doubts for column in inference.columns if column.published == "carrier")
    assert doubt.startswith("named like the key of core.airlines")
