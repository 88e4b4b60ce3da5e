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


def test_an_apostrophe_in_a_value_quotes_nothing_if_other_quotes_are_around_fields() -> None:
    records = [f'CN{n},"Autauga County, AL","{n},112"\n' for n in range(1, 60)]
    sample = "".join(records) + 'CN60,"Prince George\'s County, MD","1,212"\n'
    assert dialect(sample.encode()).quote == '"'


def test_quotes_within_values_that_apostrophes_quote_are_part_of_them() -> None:
    assert dialect(b'id,tags\n1,\'x, "y"\'\n2,\'"a", "b","c"\'\n3,\'z\'\n').quote == "'"


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


@pytest.mark.parametrize("character", ["\f", "\v", "\x1c", "\x85", "\u2028"])
def test_only_line_ends_divide_the_lines_before_the_header(character: str) -> None:
    assert dialect(f"Report{character}of 2024\n".encode() + text(",")).skip_lines == 1
    assert dialect(f"Report{character}of 2024\n".encode() + text(",", "id{}id")).skip_lines == 2


def test_a_title_with_the_delimiters_of_a_record_is_before_the_header() -> None:
    assert dialect(b',,\n"Sales, by day\nuntil",,\nid,word,n\n1,x,5\n2,y,6\n').skip_lines == 3
    assert dialect(b',,\n"Sales of 2024",,\nid,word,n\n1,x,5\n2,y,6\n').skip_lines == 2


def test_records_with_fewer_fields_may_be_short() -> None:
    sample = b"a,b,c\n" + b"1,2,3\n" * 5 + b"1,2\n" * 5
    assert dialect(sample).short_records


def test_a_first_record_of_numbers_is_no_header() -> None:
    recognised = recognise_delimited(b"1,x\n2,y\n3,z\n")
    assert recognised is not None
    assert isinstance(recognised.format, Csv)
    assert recognised.format.header == ("column_1", "column_2")
    assert "name the columns" in recognised.doubts[0]


@pytest.mark.parametrize("record", [b"2.5,x\n", b"-2.5e+01,x\n", b"yes,no\n"])
def test_a_first_record_that_comes_again_is_no_header_if_it_has_values(record: bytes) -> None:
    recognised = recognise_delimited(record + b"yes,x\n3.5,no\nno,no\n" + record + b"4.5,x\n")
    assert recognised is not None
    assert isinstance(recognised.format, Csv)
    assert (recognised.format.header, recognised.format.repeated_header) == (("column_1", "column_2"), "keep")


def test_a_header_that_comes_again_is_skipped_even_if_a_value_is_like_its_name() -> None:
    format_ = dialect(b"id,kind,word\n1,word,x\n2,word,word\nid,kind,word\n3,x,y\n")
    assert (format_.header, format_.repeated_header) == (True, "skip")


def test_a_column_of_row_numbers_without_a_name_is_a_column() -> None:
    assert dialect(b'"","speed"\n"1",850\n"2",740\n').delimiter == ","


def test_a_delimiter_at_the_end_of_each_line_divides_nothing() -> None:
    assert recognise_delimited(b"name,\nalpha,\nbeta,\n") is None


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


@pytest.mark.parametrize(
    "sample", [b"tag,n\n#a,1\n#b,2\nd,4\ne,5\n", b"#id,n\n1,1\n2,2\n", b"#id,n,name\n1,10,a\n", b"#a,x\n#b,y\n"]
)
def test_lines_with_a_number_sign_that_divide_like_records_are_no_comments(sample: bytes) -> None:
    assert dialect(sample).comment is None
    assert dialect(sample).skip_lines == 0


def test_lines_with_a_number_sign_that_do_not_divide_like_records_are_comments() -> None:
    assert dialect(b"id,n\n# first, second, third\n1,1\n2,2\n# end\n").comment == "#"


def test_a_plus_before_numbers_is_no_part_of_the_delimiter() -> None:
    assert dialect(b"name,mobile\na,+43661\nb,+43662\nc,+43663\n").delimiter == ","


def test_a_percent_sign_behind_numbers_is_no_part_of_the_delimiter() -> None:
    assert dialect(b"share,name\n5%,a\n6%,b\n7%,c\n").delimiter == ","


def test_commas_around_an_empty_column_are_two_delimiters() -> None:
    assert dialect(b"id,,name,x\n1,,a,x\n2,,b,y\n").delimiter == ","


def test_points_of_thousands_beside_decimal_commas_leave_the_commas_decimal() -> None:
    assert dialect(b"id;n;price\n1;1.250;12,50\n2;3.400;7,25\n").decimal == ","
    assert dialect(b"id;price\n1;1.250,50\n2;7,25\n").decimal == ","


def test_points_before_fractions_beside_commas_leave_the_points_decimal() -> None:
    assert dialect(b"id;n;price\n1;1.25;12,50\n2;3.4;7,25\n").decimal == "."


@pytest.mark.parametrize(
    ("sample", "header", "skipped", "name"),
    [
        (b"id,name,name\n1,a,b\n2,c,d\n", ("id", "name", "name_3"), 1, "'name' occurs twice"),
        (b"id,,name,name\n1,x,a,b\n2,,c,d\n", ("id", "column_2", "name", "name_4"), 1, "'name' occurs twice"),
        (b"Report\nid,name,name\n1,a,b\n2,c,d\n", ("id", "name", "name_3"), 2, "'name' occurs twice"),
        (b"id||name||name\n1||a||b\n2||c||d\n", ("id", "name", "name_3"), 1, "'name' occurs twice"),
        (b"id,name,,\n1,a,x,\n2,c,,y\n", ("id", "name", "column_3", "column_4"), 1, "several columns have no name"),
        (b"_record_no,x\n1,a\n2,b\n", ("record_no_1", "x"), 1, "'_record_no' is reserved"),
    ],
)
def test_a_name_that_cannot_be_read_is_a_question_with_other_names(
    sample: bytes, header: tuple[str, ...], skipped: int, name: str
) -> None:
    recognised = recognise_delimited(sample)
    assert recognised is not None
    assert isinstance(recognised.format, Csv)
    assert (recognised.format.header, recognised.format.skip_lines) == (header, skipped)
    assert any(name in doubt for doubt in recognised.doubts)


def test_a_first_record_with_several_empty_fields_is_no_header() -> None:
    recognised = recognise_delimited(b"0000;<control>;;;N\n0041;LETTER A;;;N\n0042;LETTER B, OR BE;;;N\n")
    assert recognised is not None
    names = tuple(f"column_{number}" for number in range(1, 6))
    assert recognised.format == Csv(delimiter=";", header=names, unterminated="report")


def test_equal_numbers_in_the_first_record_are_values() -> None:
    recognised = recognise_delimited(b"1,1\n2,3\n4,5\n")
    assert recognised is not None
    assert recognised.format == Csv(header=("column_1", "column_2"), unterminated="report")
    assert recognised.doubts == ("the first record has values and no names: name the columns",)
