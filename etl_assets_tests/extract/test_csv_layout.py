"""Csv: escape characters, long delimiters, line ends, what comes before and after the records, and ragged records."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.formats.csv import Csv
from etl_assets.model.delivery import MemberIndex
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from etl_assets.model.batch import RawBatch


def read(data: bytes, format_: Csv, **arguments: Any) -> list[RawBatch]:
    return list(format_.read(io.BytesIO(data), "", **arguments))


def only(data: bytes, format_: Csv) -> RawBatch:
    (batch,) = read(data, format_)
    return batch


def rows(batch: RawBatch) -> list[tuple[Any, ...]]:
    return batch.frame.drop(RECORD_NO).rows()


def rejected(batch: RawBatch) -> dict[int, list[str]]:
    return {row["record_no"]: row["rules"] for row in batch.malformed.to_dicts()}


def skipped(batches: list[RawBatch]) -> int:
    return sum(batch.span.skipped for batch in batches)


def numbered(count: int) -> bytes:
    return b"".join(b"%d,x\n" % number for number in range(count))


ESCAPED = Csv(escape="\\", null=("\\N",))


def test_an_escaped_quote_or_delimiter_is_part_of_the_value() -> None:
    data = b'a,b\n"say \\"so\\"",x\\,y\n'
    assert rows(only(data, ESCAPED)) == [('say "so"', "x,y")]


def test_an_escaped_line_end_is_part_of_the_value_and_is_a_line() -> None:
    batch = only(b"a,b\n1,x\\\ny\n2,z\\\r\nw\n3,v\n", ESCAPED)
    assert rows(batch) == [("1", "x\ny"), ("2", "z\r\nw"), ("3", "v")]
    assert [batch.location(number) for number in (1, 2, 3)] == [":2", ":4", ":6"]
    assert batch.raw(2) == b"2,z\\\r\nw"


def test_an_escaped_escape_escapes_nothing() -> None:
    assert rows(only(b'a,b\n"C:\\\\",\\\\\n', ESCAPED)) == [("C:\\", "\\")]


def test_an_escape_before_any_other_character_is_part_of_the_value() -> None:
    assert rows(only(b"a,b\nC:\\temp,\\t\n", ESCAPED)) == [("C:\\temp", "\\t")]


def test_a_null_word_may_begin_with_the_escape_which_is_no_null_word_once_escaped() -> None:
    assert rows(only(b"a,b\n\\N,\\\\N\n", ESCAPED)) == [(None, "\\N")]


def test_an_escaped_quote_neither_opens_nor_closes() -> None:
    batch = only(b'a,b\n"x\\",1\n\\"y,2\n"z\\\\",3\n', ESCAPED)
    assert rejected(batch) == {1: ["record__quoting"]}
    assert rows(batch) == [('"y', "2"), ("z\\", "3")]


def test_the_header_may_have_escape_sequences() -> None:
    assert only(b"a\\,b,c\n1,2\n", ESCAPED).names == ("a,b", "c")


def test_an_escape_at_the_end_of_a_file_escapes_nothing_also_when_its_record_is_reread() -> None:
    batch = only(b"a,b\n1,x\\", ESCAPED)
    assert (rows(batch), batch.unterminated) == ([("1", "x\\")], 1)
    assert rows(ESCAPED.reread(("a", "b"), {1: batch.raw(1)})) == [("1", "x\\")]


@pytest.mark.parametrize("delimiter", ["||", "~|~", "::", "\t|"])
def test_a_delimiter_may_be_of_several_characters(delimiter: str) -> None:
    text = 'a,b,c\n1,"x,y",\n2,"two\nlines",z\n'.replace(",", delimiter)
    batch = only(text.encode(), Csv(delimiter=delimiter))
    assert rows(batch) == [("1", f"x{delimiter}y", None), ("2", "two\nlines", "z")]
    assert batch.raw(1) == '1,"x,y",'.replace(",", delimiter).encode()


def test_a_part_of_a_delimiter_is_part_of_the_value() -> None:
    assert rows(only(b"a||b\n1|2||3\nx|||y\n", Csv(delimiter="||"))) == [("1|2", "3"), ("x", "|y")]


def test_lines_may_end_with_a_carriage_return_alone() -> None:
    format_ = Csv(line_end="\r")
    batch = only(b'a,b\r1,"x\ry"\r2,z\nw\r3,"q"\r', format_)
    assert rows(batch) == [("1", "x\ry"), ("2", "z\nw"), ("3", "q")]
    assert [batch.location(number) for number in (1, 2, 3)] == [":2", ":4", ":5"]
    assert batch.raw(2) == b"2,z\nw"
    assert batch.unterminated is None
    assert only(b"a,b\r1,2", format_).unterminated == 1


def test_a_file_with_both_characters_at_its_line_ends_is_refused_where_one_is_declared() -> None:
    with pytest.raises(DeliveryError, match="Leave out line_end="):
        read(b"a,b\r\n1,2\r\n", Csv(line_end="\r"))


def test_an_unquoted_value_may_end_with_a_carriage_return_before_a_delimiter() -> None:
    assert rows(only(b"a,b\n1\r,2\n\r,\n", Csv())) == [("1\r", "2"), ("\r", None)]
    assert rows(only(b"a,b\n1\r\r\n", Csv(short_records=True))) == [("1\r", None)]


@pytest.mark.parametrize("record", [b"\r", b'"a"\r'])
def test_a_record_that_ends_with_a_carriage_return_is_reread_as_it_was_read(record: bytes) -> None:
    batch = only(b"a\n" + record + b"\r\n", Csv())
    assert batch.raw(1) == record
    reread = Csv().reread(("a",), {1: record})
    assert (reread.frame.rows(), reread.malformed.rows()) == (batch.frame.rows(), batch.malformed.rows())


def test_the_header_may_be_found_by_its_beginning() -> None:
    format_ = Csv(header_begins="Date,")
    for lines in range(3):
        batch = only(b'Report "x\n' * lines + b"\nDate,b\n1,2\n", format_)
        assert batch.names == ("Date", "b")
        assert (batch.span.skipped, batch.location(1)) == (lines, f":{lines + 3}")


def test_the_beginning_of_the_header_is_looked_for_after_the_skipped_lines_and_far_into_the_file() -> None:
    data = b"Date,of\n" + b"preamble\n" * 10_000 + b"Date,b\n1,2\n"
    batch = only(data, Csv(skip_lines=1, header_begins="Date,"))
    assert (batch.names, batch.span.skipped) == (("Date", "b"), 10_001)


def test_the_beginning_of_the_header_is_in_the_declared_encoding() -> None:
    for encoding in ("latin-1", "utf-16"):
        format_ = Csv(encoding=encoding, header_begins="Größe")
        assert only("x\nGröße,b\n1,2\n".encode(encoding), format_).names == ("Größe", "b")


def test_a_file_without_its_header_is_refused() -> None:
    for data in (b"x\n1,2\n", b"x\n" * 100, b"preamble\n" * 100):
        with pytest.raises(DeliveryError, match="no line that begins with 'Date,'"):
            read(data, Csv(header_begins="Date,", batch_bytes=64))


FOOTED = Csv(footer_begins="Total", batch_bytes=64)


@pytest.mark.parametrize("count", [0, 1, 20, 200])
@pytest.mark.parametrize("footer", [b"Total,9", b"Total,9\n", b'Total: "9\n\nsee notes\n'])
def test_records_end_before_the_footer(count: int, footer: bytes) -> None:
    batches = read(b"a,b\n" + numbered(count) + footer, FOOTED)
    found = [row for batch in batches for row in rows(batch)]
    assert found == [(str(number), "x") for number in range(count)]
    assert all(batch.malformed.is_empty() and batch.unterminated is None for batch in batches)
    assert skipped(batches) == sum(bool(line) for line in footer.split(b"\n"))


def test_batches_before_a_footer_can_be_read_by_their_index() -> None:
    data = b"a,b\n" + numbered(40) + b"Total,40\n"
    batches = read(data, FOOTED)
    index = MemberIndex("", 0, ("a", "b"), tuple(batch.span for batch in batches))
    assert [rows(batch) for batch in read(data, FOOTED, index=index)] == [rows(batch) for batch in batches]


def test_the_beginning_of_a_footer_within_quotes_is_part_of_the_value() -> None:
    assert rows(only(b'a,b\n1,"x\nTotal,"\nTotal\n', Csv(footer_begins="Total"))) == [("1", "x\nTotal,")]


@pytest.mark.parametrize("count", [0, 2, 15, 16, 100])
def test_a_file_without_its_footer_is_incomplete(count: int) -> None:
    with pytest.raises(DeliveryIncompleteError, match="'Total', its footer"):
        read(b"a,b\n" + b"1,x\n" * count, FOOTED)


@pytest.mark.parametrize("rest", [b"a,b\n1,2\nTotal\n", b"1,2\n" * 100])
def test_a_file_that_goes_on_after_its_footer_is_refused(rest: bytes) -> None:
    with pytest.raises(DeliveryError, match="goes on after its footer, line 3"):
        read(b"a,b\n1,2\nTotal,1\n" + rest, FOOTED)


@pytest.mark.parametrize(
    ("header", "again"),
    [(b"a,b", b"a,b"), (b"a,b", b'"a",b'), (b'"a","b"', b"\xef\xbb\xbfa,b"), (b'"a""\n",b', b'"a""\n","b"')],
)
def test_a_repeated_header_is_skipped_where_that_is_declared(header: bytes, again: bytes) -> None:
    data = header + b"\n1,2\n" + again + b"\na,c\nab,b\n" + again + b"\n"
    batches = read(data, Csv(repeated_header="skip"))
    assert [row for batch in batches for row in rows(batch)] == [("1", "2"), ("a", "c"), ("ab", "b")]
    assert skipped(batches) == 2
    assert len(rows(only(data, Csv()))) == 5


def test_locations_and_bytes_are_right_around_a_repeated_header() -> None:
    format_ = Csv(repeated_header="skip", batch_bytes=64)
    batches = read(b"a,b\n" + (numbered(5) + b"a,b\n") * 20, format_)
    places = [batch.location(number) for batch in batches for number in batch.frame[RECORD_NO]]
    assert places == [f":{line}" for line in range(2, 122) if (line - 1) % 6]
    index = MemberIndex("", 0, ("a", "b"), tuple(batch.span for batch in batches))
    again = read(b"a,b\n" + (numbered(5) + b"a,b\n") * 20, format_, index=index)
    assert [batch.frame.rows() for batch in again] == [batch.frame.rows() for batch in batches]
    assert format_.reread(("a", "b"), {7: b"a,b"}).frame.rows() == [("a", "b", 7)]


def test_delimiters_at_the_end_of_a_record_are_trimmed_where_that_is_declared() -> None:
    batch = only(b'a,b\n1,2\n3,4,\n5,"6,",,\n7,8,9\n0,1,""\n,,,\n', Csv(long_records="trim"))
    assert rows(batch) == [("1", "2"), ("3", "4"), ("5", "6,"), (None, None)]
    assert rejected(batch) == {4: ["record__field_count"], 5: ["record__field_count"]}
    assert batch.raw(3) == b'5,"6,",,'


def test_what_is_too_much_is_joined_to_the_last_field_where_that_is_declared() -> None:
    data = b'a,b\n1,2\n3,x, y,\n4,"q",z\n"5,",6,"7"\n8\n'
    batch = only(data, Csv(long_records="join"))
    assert rows(batch) == [("1", "2"), ("3", "x, y,"), ("4", '"q",z'), ("5,", '6,"7"')]
    assert rejected(batch) == {5: ["record__field_count"]}


def test_a_joined_field_is_as_published_in_every_dialect() -> None:
    format_ = Csv(delimiter="||", quote=None, escape="\\", long_records="join", short_records=True)
    assert rows(only(b"a||b\n1||x||\\|y\n2\n", format_)) == [("1", "x|||y"), ("2", None)]
    only_column = Csv(header=("line",), quote=None, long_records="join")
    assert rows(only(b'5", x\ny\n', only_column)) == [('5", x',), ("y",)]
    old_mac = Csv(line_end="\r", long_records="join")
    assert rows(only(b'a,b\r1,x,"\r\n",y\r', old_mac)) == [("1", 'x,"\r\n",y')]


def test_codes_are_resolved_in_the_values_that_have_them_beside_bad_records() -> None:
    format_ = Csv(delimiter="||", escape="\\")
    data = b'a||b||c\n1||2\n3||"x||y"||\\"z\\"\n"4||5||6\n7||8||"\\\\||"\n'
    batch = only(data, format_)
    assert rows(batch) == [("3", "x||y", '"z"'), ("7", "8", "\\||")]
    assert rejected(batch) == {1: ["record__field_count"], 3: ["record__quoting"]}


@pytest.mark.parametrize("delimiter", [";", "~|~"])
@pytest.mark.parametrize("comment", ["#", None])
def test_a_closing_quote_is_seen_wherever_a_block_is_cut_after_it(delimiter: str, comment: str | None) -> None:
    text = '1;x\r\n"a\n";"b\n"\r\n2;"c\n"\r\n' * 3
    for size in range(64, 110):
        format_ = Csv(delimiter=delimiter, header=("a", "b"), comment=comment, batch_bytes=size)
        batches = read(text.replace(";", delimiter).encode(), format_)
        found = [row for batch in batches for row in rows(batch)]
        assert found == [("1", "x"), ("a\n", "b\n"), ("2", "c\n")] * 3


def test_a_quoted_header_is_seen_wherever_its_first_block_is_cut() -> None:
    for length in range(40, 64):
        name = "n" * length
        batch = only(f'"a\n"||"{name}"||"b"\r\n1||2||3\r\n'.encode(), Csv("||", batch_bytes=1 << 20))
        assert batch.names == ("a\n", name, "b")
        with_blocks = read(f'"a"||"{name}"\r\n'.encode(), Csv("||", batch_bytes=72))
        assert with_blocks[0].names == ("a", name)
