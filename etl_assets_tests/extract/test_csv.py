"""Csv: which records are read, which are malformed, and which files are refused."""

from __future__ import annotations

import csv
import io
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.errors import DeclarationError, DeliveryError, DeliveryIncompleteError
from etl_assets.extract.formats.csv import Csv
from etl_assets.model.delivery import MemberIndex
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.batch import RawBatch


def read(data: bytes, format_: Csv | None = None, member: str = "", **arguments: Any) -> Sequence[RawBatch]:
    return list((format_ or Csv()).read(io.BytesIO(data), member, **arguments))


def only(data: bytes, format_: Csv | None = None) -> RawBatch:
    (batch,) = read(data, format_)
    return batch


def rows(batch: RawBatch) -> list[tuple[Any, ...]]:
    return batch.frame.drop(RECORD_NO).rows()


def rejected(batch: RawBatch) -> dict[int, list[str]]:
    return {row["record_no"]: row["rules"] for row in batch.malformed.to_dicts()}


_cells = st.lists(
    st.sampled_from(['"', ",", "\n", "\r\n", " ", "a", "é", "😀", "NA", "#", "\t", "\ufeff", "\u2028"]), max_size=6
).map("".join)
_tables = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(_cells, min_size=width, max_size=width), max_size=12)
)


@settings(max_examples=150)
@given(
    _tables,
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from([64, 1 << 20]),
)
def test_values_are_those_that_the_csv_module_reads(table: list[list[str]], end: str, quoting: Any, size: int) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator=end, quoting=quoting).writerows(table)
    text = written.getvalue()
    expected = [[cell or None for cell in row] for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    width = len(table[0]) if table else 1
    too_large = any(sum(len(cell.encode()) * 2 + 3 for cell in row) > size for row in table)
    format_ = Csv(header=tuple(f"c{n}" for n in range(width)), batch_bytes=1 << 20 if too_large else size)
    if not text:
        return
    data = ("\n" + text).encode()  # a first cell may begin with what would be a byte order mark
    batches = read(data, format_)
    assert [list(row) for batch in batches for row in rows(batch)] == expected
    assert all(batch.malformed.is_empty() for batch in batches)


@settings(max_examples=100)
@given(
    st.integers(0, 40),
    st.lists(st.sampled_from([b'"', b",", b"\n", b"\r\n", b"a", b"\xff", b"\0", b'"x"', b'""']), max_size=20),
)
def test_any_bytes_give_the_same_records_whatever_the_batch_size(lead: int, parts: list[bytes]) -> None:
    data = b"h,i\n" + b"x,y\n" * lead + b"".join(parts)
    whole = only(data)
    assert sorted([*whole.frame[RECORD_NO], *whole.malformed["record_no"]]) == list(range(1, whole.span.records + 1))
    cut = read(data, Csv(batch_bytes=64))
    assert [row for batch in cut for row in batch.frame.rows()] == whole.frame.rows()
    assert [row for batch in cut for row in batch.malformed.rows()] == whole.malformed.rows()


_pieces = st.sampled_from([b'"', b",", b"\n", b"\r\n", b"\r", b"a", b"#", b"\xff", b"\0", b'"x"', b'""', b"y" * 40])


@settings(max_examples=200)
@given(
    st.lists(_pieces, max_size=60),
    st.integers(64, 300),
    st.sampled_from([Csv(header=("h", "i")), Csv(), Csv(quote=None), Csv(comment="#"), Csv(encoding="cp1252")]),
)
def test_records_that_fit_into_a_batch_are_the_same_in_batches_of_any_size(
    parts: list[bytes], size: int, format_: Csv
) -> None:
    data = b"h,i\n" + b"".join(parts)
    (whole,) = read(data, format_)
    well_formed = [whole.raw(number) for number in whole.frame[RECORD_NO]]
    fit = all(len(line) + 2 <= size for line in (*data.split(b"\n"), *well_formed))
    with nullcontext() if fit else suppress(DeliveryError):
        cut = read(data, replace(format_, batch_bytes=size))
        cut_rows = [row for batch in cut for row in batch.frame.rows()]
        cut_malformed = [row for batch in cut for row in batch.malformed.rows()]
        assert not fit or (cut_rows, cut_malformed) == (whole.frame.rows(), whole.malformed.rows())


def test_cells_without_a_value_and_null_words_are_null_quoted_or_not() -> None:
    batch = only(b'a,b\n,""\nNA,"NA"\nna,NAN\n', Csv(null=("NA",)))
    assert rows(batch) == [(None, None), (None, None), ("na", "NAN")]


def test_without_null_words_only_empty_cells_are_null() -> None:
    assert rows(only(b"a,b\nNA,null\nnan, \n")) == [("NA", "null"), ("nan", " ")]


def test_numbers_dates_and_leading_zeros_stay_text() -> None:
    assert rows(only(b"a,b\n007,1e3\n2013-01-01,true\n")) == [("007", "1e3"), ("2013-01-01", "true")]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-32", "shift_jis"]
)
def test_a_declared_encoding_is_decoded(encoding: str) -> None:
    text = "名,b\n木,x\n" if encoding == "shift_jis" else "é,b\nü,x\n"
    batch = only(text.encode(encoding), Csv(encoding=encoding))
    assert batch.names == (text[0], "b")
    assert rows(batch) == [(text[4], "x")]
    assert (
        batch.raw(1)
        .decode("utf-16-le" if encoding == "utf-16" else "utf-32-le" if encoding == "utf-32" else encoding)
        .endswith("x")
    )


@pytest.mark.parametrize("encoding", ["iso2022_jp", "iso2022_kr", "hz"])
def test_a_record_that_ends_with_the_begin_of_an_escape_sequence_is_read_again_as_it_was(encoding: str) -> None:
    format_ = Csv(encoding=encoding)
    batch = only("a,b\n1,\x1b\n".encode(encoding), format_)
    again = format_.reread(batch.names, {1: batch.raw(1)}, batch.span.context)
    assert rows(again) == rows(batch) == [("1", "\x1b")]


def test_an_undecodable_byte_makes_only_its_record_malformed() -> None:
    batch = only("a,b\né,1\n".encode() + b"\xe9,2\nz,3\n")
    assert rows(batch) == [("é", "1"), ("z", "3")]
    assert rejected(batch) == {2: ["record__encoding"]}
    assert batch.raw(2) == b"\xe9,2"


def test_a_byte_outside_the_code_page_makes_its_record_malformed() -> None:
    batch = only(b"a,b\n\x80,1\n\x81,2\n", Csv(encoding="cp1252"))
    assert rows(batch) == [("€", "1")]
    assert rejected(batch) == {2: ["record__encoding"]}


def test_a_lone_surrogate_in_utf_16_makes_its_record_malformed_and_its_raw_bytes_are_kept() -> None:
    batch = only("a,b\nx,\ud800\ny,1\n".encode("utf-16", "surrogatepass"), Csv(encoding="utf-16"))
    assert rejected(batch) == {1: ["record__encoding"]}
    assert batch.raw(1) == "x,\ud800".encode("utf-16-le", "surrogatepass")


def test_utf_16_cut_inside_a_character_is_incomplete() -> None:
    with pytest.raises(DeliveryIncompleteError, match="inside a character"):
        read("a,b\n1,2\n".encode("utf-16")[:-1], Csv(encoding="utf-16"))


def test_a_nul_byte_makes_its_record_malformed() -> None:
    batch = only(b"a,b\n1,\0\n2,x\n")
    assert rejected(batch) == {1: ["record__nul"]}
    assert rows(batch) == [("2", "x")]


def test_records_with_too_few_or_too_many_fields_are_malformed_with_their_raw_bytes() -> None:
    batch = only(b'a,b,c\n1,2\r\n1,2,3\n1,"2,x",3,4\n')
    assert rejected(batch) == {1: ["record__field_count"], 3: ["record__field_count"]}
    assert [batch.raw(n) for n in (1, 2, 3)] == [b"1,2", b"1,2,3", b'1,"2,x",3,4']
    assert batch.frame.rows() == [("1", "2", "3", 2)]


def test_one_short_and_one_long_record_are_both_malformed() -> None:
    assert list(rejected(only(b"a,b,c\n1,2,3,4\n1,2\n"))) == [1, 2]


def test_when_every_record_is_longer_than_the_header_all_are_malformed() -> None:
    batch = only(b"a,b\n" + b"1,2,3\n" * 5)
    assert batch.frame.is_empty()
    assert batch.malformed.height == 5


def test_declared_short_records_are_filled_with_nulls() -> None:
    batch = only(b'a,b,c\n1\n"1,5",2\n1,2,3\n1,2,3,4\n', Csv(short_records=True))
    assert rows(batch) == [("1", None, None), ("1,5", "2", None), ("1", "2", "3")]
    assert rejected(batch) == {4: ["record__field_count"]}


def test_a_record_may_break_several_rules() -> None:
    assert rejected(only(b"a,b\n\0\xff\n")) == {1: ["record__field_count", "record__nul", "record__encoding"]}


def test_an_unclosed_quote_makes_only_its_line_malformed() -> None:
    batch = only(b'a,b\n1,"open\n2,x\n3,"y"\n')
    assert rejected(batch) == {1: ["record__quoting"]}
    assert rows(batch) == [("2", "x"), ("3", "y")]


def test_an_unclosed_quote_longer_than_a_batch_costs_one_line() -> None:
    batches = read(b'a,b\n1,"open\n' + b"2,x\n" * 100, Csv(batch_bytes=64))
    assert [number for batch in batches for number in rejected(batch)] == [1]
    assert sum(batch.frame.height for batch in batches) == 100


def test_without_quoting_a_quote_is_data() -> None:
    assert rows(only(b'a,b\n5",x\n"q,"\n', Csv(quote=None))) == [('5"', "x"), ('"q', '"')]


def test_blank_lines_and_comments_are_no_records() -> None:
    batch = only(b"\n# made by hand\na,b\n\n1,2\n\r\n#3,4\n5,6\n\n", Csv(comment="#"))
    assert rows(batch) == [("1", "2"), ("5", "6")]
    assert [batch.location(n) for n in (1, 2)] == [":5", ":8"]


@pytest.mark.parametrize("comment", [b"#\xff\n", b"#\0\n"])
def test_a_comment_may_contain_any_bytes_also_in_a_file_without_records(comment: bytes) -> None:
    for records in (b"", b"1,2\n"):
        batch = only(b"a,b\n" + comment + records + comment, Csv(comment="#"))
        assert rows(batch) == [("1", "2")][: len(records)]
        assert batch.malformed.is_empty()


def test_a_location_names_member_and_line_and_counts_lines_within_fields() -> None:
    (batch,) = read(b'a,b\n1,"x\ny\nz"\n2,q\n', member="flights.csv")
    assert [batch.location(n) for n in (1, 2)] == ["flights.csv:2", "flights.csv:5"]


def test_locations_are_right_in_later_batches() -> None:
    batches = read(b"a,b\n" + b"1,2\n\n" * 50, Csv(batch_bytes=64))
    places = [
        batch.location(n) for batch in batches for n in range(batch.span.first_record, batch.span.last_record + 1)
    ]
    assert places == [f":{2 * n}" for n in range(1, 51)]


_ENCODINGS = st.sampled_from(["utf-8", "latin-1", "utf-16", "utf-16-be", "shift_jis"])


@settings(max_examples=100)
@given(
    st.text(st.sampled_from('",\n\r# aé\0'), max_size=60),
    _ENCODINGS,
    st.sampled_from([None, "#"]),
)
def test_bytes_and_locations_of_many_records_are_those_of_each(text: str, encoding: str, comment: str | None) -> None:
    data = f"a,b\n{text}".encode(encoding, "replace")
    for batch in read(data, Csv(encoding=encoding, comment=comment, batch_bytes=64), "m.csv"):
        numbers = range(batch.span.first_record, batch.span.last_record + 1)
        for chosen in (numbers, numbers[1::2]):
            assert batch.raws(chosen).to_list() == [batch.raw(number) for number in chosen]
            assert batch.locations(chosen).to_list() == [batch.location(number) for number in chosen]


@given(st.binary(max_size=60))
def test_bytes_of_many_records_are_those_of_each_whatever_the_bytes(data: bytes) -> None:
    with suppress(DeliveryError):
        for batch in read(b"a,b\n" + data):
            numbers = range(batch.span.first_record, batch.span.last_record + 1)
            assert batch.raws(numbers).to_list() == [batch.raw(number) for number in numbers]


def test_bytes_of_many_records_refer_to_those_of_the_batch() -> None:
    batch = only(b"a,b\n" + b"%s,2\n" % (b"x" * 1000) * 1000)
    assert batch.raws(range(1, 1001)).estimated_size() < 2_000_000


def test_a_carriage_return_is_part_of_the_line_end_before_a_line_feed_and_else_of_the_value() -> None:
    assert rows(only(b"a,b\r\n1,x\ry\r\n2,z\n3,w\r")) == [("1", "x\ry"), ("2", "z"), ("3", "w")]


def test_names_come_from_the_declaration_when_the_file_has_none() -> None:
    batch = only(b"1,2\n", Csv(header=("x", "y")))
    assert batch.frame.to_dicts() == [{"x": "1", "y": "2", RECORD_NO: 1}]


def test_declared_lines_before_the_header_are_skipped() -> None:
    batch = only(b'Report of "today\n(all)\na,b\n1,2\n', Csv(skip_lines=2))
    assert batch.names == ("a", "b")
    assert batch.location(1) == ":4"


def test_a_trailing_delimiter_publishes_a_column_without_a_name() -> None:
    batch = only(b"a,b,\n1,2,\n3,4,x\n")
    assert batch.names == ("a", "b", "")
    assert rows(batch) == [("1", "2", None), ("3", "4", "x")]


def test_a_header_may_be_quoted_and_contain_line_ends() -> None:
    batch = only(b'\xef\xbb\xbf"a\nb","c ""d"""\n1,2\n')
    assert batch.names == ("a\nb", 'c "d"')
    assert batch.location(1) == ":3"


def test_a_header_longer_than_the_first_block_is_read_completely() -> None:
    names = tuple(f"column_{n:06d}" for n in range(10_000))
    assert only(",".join(names).encode() + b"\n").names == names


@pytest.mark.parametrize(
    ("data", "format_", "words"),
    [
        (b"", Csv(), "is empty"),
        (b"\n\n", Csv(), "has no header"),
        (b"a,b,a\n1,2,3\n", Csv(), "more than one column named 'a'.*header="),
        (b"a,,\n1,2,3\n", Csv(), "more than one column named ''"),
        (b"a,,a," + b"," * 40 + b"b,b\n", Csv(), "more than one column named '', 'a', 'b'"),
        (b"a,_record_no\n", Csv(), "bookkeeping"),
        (b"a," + b"b" * 1001 + b"\n", Csv(), "names longer than 1,000 bytes: 'b{100}…'"),
        (
            b",".join(b"%d" % n for n in range(10_001)),
            Csv(),
            "10,001 different names; at most 10,000 .*Check how the format is declared",
        ),
        ("é,b\n".encode("latin-1"), Csv(), "header that is not in the declared encoding utf-8"),
        ("a,b\n".encode("utf-16"), Csv(), "encoding='utf-16'"),
        ("a,b\n".encode("utf-8-sig"), Csv(encoding="latin-1"), "encoding='utf-8'"),
        ("a,b\n".encode("utf-16-le"), Csv(), "NUL byte"),
        (b"a,b\r1,2\r", Csv(), "bare carriage returns"),
        (b'a,b"c\n1,2\n', Csv(), "stray quote"),
        (b'a,"b\n1,2\n', Csv(), "does not end"),
        (b"a,b\n" + b"x" * 1000, Csv(batch_bytes=64), "line longer than 64 bytes, line 2"),
        (b'a,b\n1,"' + b"x" * 1000, Csv(batch_bytes=64), "line longer than 64 bytes, line 2"),
        (b'"' * 1000, Csv(batch_bytes=64), "header that does not end"),
        ("a,b\n".encode("utf-16-le"), Csv(encoding="utf-16"), "no byte order mark.*encoding='utf-16-le'"),
    ],
)
def test_a_file_unlike_its_declaration_is_refused_with_a_remedy(data: bytes, format_: Csv, words: str) -> None:
    with pytest.raises(DeliveryError, match=words):
        read(data, format_)


@pytest.mark.parametrize(
    "arguments",
    [
        {"delimiter": ""},
        {"delimiter": "\n"},
        {"delimiter": '"'},
        {"quote": "«"},
        {"encoding": "utf-99"},
        {"encoding": "base64"},
        {"header": False},
        {"header": ()},
        {"header": ("a", "a")},
        {"null": "NA"},
        {"comment": ""},
        {"comment": ","},
        {"decimal": ";"},
        {"skip_lines": -1},
        {"batch_bytes": 1},
    ],
)
def test_a_wrong_declaration_says_what_to_write(arguments: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match=r"Write|Begin|Give"):
        Csv(**arguments)


def test_a_batch_is_parsed_only_on_first_use() -> None:
    (batch,) = read(b"a,b\n1,2\n")
    assert "_parsed" not in vars(batch)
    assert batch.frame.height == 1
    assert "_parsed" in vars(batch)


def test_an_index_of_another_declaration_is_refused() -> None:
    (batch,) = read(b'a,b\n1,"x\ny"\n')
    (again,) = read(b'a,b\n1,"x\ny"\n', Csv(quote=None), index=MemberIndex("member", 0, batch.names, (batch.span,)))
    with pytest.raises(DeliveryError, match="Index the delivery again"):
        _ = again.frame


def test_a_file_shorter_than_its_index_is_incomplete() -> None:
    (batch,) = read(b"a,b\n1,2\n")
    with pytest.raises(DeliveryIncompleteError):
        read(b"a,b\n1,", index=MemberIndex("member", 0, batch.names, (batch.span,)))


def test_a_batch_has_the_declared_decimal_character() -> None:
    assert only(b"a;b\n1,5;2\n", Csv(delimiter=";", decimal=",")).decimal == ","


def test_a_word_joiner_at_the_start_of_a_record_is_part_of_its_value() -> None:
    batch = only("a,b\n\ufeffx,1\n".encode())
    assert rows(batch) == [("\ufeffx", "1")]


def test_a_frame_without_a_well_formed_record_still_has_its_columns() -> None:
    assert only(b"a,b\n1\n").frame.schema == {"a": pl.String, "b": pl.String, RECORD_NO: pl.Int64}


@pytest.mark.parametrize("start", ["x^2", "x\x01y", "x^"])
def test_a_record_that_begins_like_a_packed_stream_is_text(start: str) -> None:
    (batch,) = Csv().read(io.BytesIO(f"a,b\n{start},1\n".encode()), "")
    assert batch.frame.select("a", "b").rows() == [(start, "1")]
