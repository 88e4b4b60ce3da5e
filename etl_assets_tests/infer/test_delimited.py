"""Which dialect of delimited text is recognised."""

from __future__ import annotations

import pytest

from etl_assets import Csv
from etl_assets.infer.delimited import recognise_delimited

BODY = [("1", "x"), ("2", "y"), ("3", "z")]


def text(delimiter: str, header: str = "id{}word", encoding: str = "utf-8") -> bytes:
    lines = [header.format(delimiter), *(delimiter.join(record) for record in BODY)]
    return ("\n".join(lines) + "\n").encode(encoding)


def dialect(sample: bytes) -> Csv:
    recognised = recognise_delimited(sample)
    assert recognised is not None
    assert isinstance(recognised.format, Csv)
    return recognised.format


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "^", "~"])
def test_the_delimiter_divides_every_line_alike(delimiter: str) -> None:
    assert dialect(text(delimiter)).delimiter == delimiter


def test_a_delimiter_in_quotes_divides_nothing() -> None:
    assert dialect(b'a;b\n"x, y";1\n"z, w";2\n').delimiter == ";"
    assert dialect(b'a,b\n"x;y;z",1\n"z;w;v",2\n').delimiter == ","


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-8-sig"])
def test_an_encoding_is_recognised_by_its_mark_or_its_bytes(encoding: str) -> None:
    assert dialect(text(",", encoding=encoding)).codec in {encoding, "utf-8"}


def test_bytes_that_are_no_utf_8_are_a_question() -> None:
    recognised = recognise_delimited("id,word\n1,café\n2,x\n".encode("cp1252"))
    assert recognised is not None
    assert isinstance(recognised.format, Csv)
    assert recognised.format.encoding == "cp1252"
    assert recognised.doubts == (
        "the bytes are not UTF-8; cp1252 is usual in Western Europe: look at the accented letters",
    )


def test_lines_before_the_header_are_skipped() -> None:
    assert dialect(b"Report of 2024\n\n" + text(",")).skip_lines == 2


def test_records_with_fewer_fields_may_be_short() -> None:
    sample = b"a,b,c\n" + b"1,2,3\n" * 5 + b"1,2\n" * 5
    assert dialect(sample).short_records


def test_a_first_record_of_numbers_is_no_header() -> None:
    recognised = recognise_delimited(b"1,x\n2,y\n3,z\n")
    assert recognised is not None
    assert isinstance(recognised.format, Csv)
    assert recognised.format.header == ("column_1", "column_2")
    assert "name the columns" in recognised.doubts[0]


def test_text_that_no_delimiter_divides_is_not_delimited() -> None:
    assert recognise_delimited(b"only\none\ncolumn\n") is None
    assert recognise_delimited(b"\x00\x01\x02\x03" * 100) is None
