"""What is written of a file, line by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from etl_assets import catalog
from etl_assets.infer import declaration, infer
from etl_assets.sources import airlines

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, data: bytes) -> str:
    (folder / "file").write_bytes(data)
    with infer(str(folder / "file"), "feed", {}) as inference:
        return declaration(inference)


@pytest.mark.parametrize("data", [b'{"a":{"x":1},"b":[1,2]}', b"a,b\n1.5e5,\n,2.5e7\n"])
def test_a_column_becomes_text_and_a_question_if_no_other_can_be_the_key(tmp_path: Path, data: bytes) -> None:
    text = written(tmp_path, data)
    assert "text so that it can be the key: which columns identify a record?\n" in text
    (tmp_path / "feed.py").write_text(text, "utf-8")
    source = catalog.load_file(tmp_path / "feed.py")
    assert source.schema.key == ("a",)
    assert source.schema["a"].type.name == "text"


def test_a_padded_text_with_a_blank_cell_is_the_key_if_no_other_column_can_be(tmp_path: Path) -> None:
    (tmp_path / "feed.py").write_text(written(tmp_path, b"a,b\nx ,[1]\n ,[2]\nx,[1]\n"), "utf-8")
    schema = catalog.load_file(tmp_path / "feed.py").schema
    assert (schema.key, schema["a"].default) == (("a",), "-")


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
