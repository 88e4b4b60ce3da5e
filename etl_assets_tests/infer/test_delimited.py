"""Which dialect of delimited text is recognised."""

from __future__ import annotations

import pytest

from etl_assets import Csv
from etl_assets.infer.delimited import recognise_delimited, recognise_one_column

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


def test_a_backslash_before_a_delimiter_of_every_record_escapes_it() -> None:
    assert dialect(b"code,name\n1,Smith\\, J\n2,Muller\\, K\n3,Moore\\, L\n").escape == "\\"


def test_a_backslash_at_the_end_of_a_value_escapes_nothing() -> None:
    assert dialect(b"path,name\nC:\\dir\\,Anna\nD:\\,Bert\nE:\\x,Carl\n") == Csv(unterminated="report")


def test_lines_that_no_delimiter_divides_are_one_column_and_a_question() -> None:
    recognised = recognise_one_column(b"name\nalpha\nbeta; gamma\n")
    assert recognised is not None
    assert recognised.format == Csv(unterminated="report")
    assert recognised.doubts == ("no delimiter was found: each line is one value",)


@pytest.mark.parametrize("sample", [b"name\n", b"name\n" + b"x" * 201 + b"\n", b"a,b;c\t|\nd\n", b'name\n"open\n'])
def test_text_that_is_no_list_of_short_values_is_not_one_column(sample: bytes) -> None:
    assert recognise_one_column(sample) is None


def test_text_that_no_delimiter_divides_is_not_delimited() -> None:
    assert recognise_delimited(b"only\none\ncolumn\n") is None
    assert recognise_delimited(b"\x00\x01\x02\x03" * 100) is None
