"""Columns by position: what is cut, and each way in which such files are broken."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets import Field, Filler, FixedWidth, HeaderRecord, RecordCode, TrailerRecord
from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.model.delivery import MemberIndex
from etl_assets.schema import RECORD_NO

if TYPE_CHECKING:
    from etl_assets.model.batch import RawBatch

_FIELDS = (Field("a", 1, 3), Field("b", 4, length=2))
_FILE: dict[str, Any] = {
    "length": 6,
    "code": RecordCode(1, length=1, records=("D", "E"), skipped=("S",)),
    "header": HeaderRecord("H", (Field("day", 2, 3), Field("run", 4, 6))),
    "trailer": TrailerRecord("T", Field("lines", 2, 5)),
}
WITH_ENDS = FixedWidth((Field("code", 1, 1), Field("value", 2, 6)), **_FILE)


def read(data: bytes, format_: FixedWidth) -> list[RawBatch]:
    return list(format_.read(io.BytesIO(data), "m"))


def only(data: bytes, format_: FixedWidth | None = None) -> RawBatch:
    (batch,) = read(data, format_ or FixedWidth(_FIELDS))
    return batch


def rows(data: bytes, format_: FixedWidth | None = None) -> list[tuple[Any, ...]]:
    return [row[:-1] for row in only(data, format_).frame.rows()]


def test_positions_count_from_1_and_the_last_position_belongs_to_the_field() -> None:
    assert rows(b"abcde\nfghij\r\n") == [("abc", "de"), ("fgh", "ij")]


def test_positions_without_a_name_are_not_published() -> None:
    assert rows(b"a--b--\n", FixedWidth((Field("x", 1, 1), Field("y", 4, 4)), 6)) == [("a", "b")]


def test_fields_are_published_in_the_order_in_which_they_are_declared() -> None:
    format_ = FixedWidth((Field("y", 2, 2), Field("x", 1, 1)))
    assert format_.names == ("y", "x")
    assert rows(b"ab\n", format_) == [("b", "a")]


@pytest.mark.parametrize(
    ("strip", "value"), [("both", "x y"), ("left", "x y  "), ("right", "  x y"), (None, "  x y  ")]
)
def test_blanks_that_fill_a_field_up_are_removed_as_declared(strip: Any, value: str) -> None:
    assert rows(b"  x y  \n", FixedWidth((Field("v", 1, 7, strip=strip),))) == [(value,)]


@pytest.mark.parametrize(("strip", "value"), [("both", None), ("left", None), ("right", None), (None, "   ")])
def test_a_field_of_blanks_has_no_value_unless_they_are_kept(strip: Any, value: str | None) -> None:
    assert rows(b"   \n", FixedWidth((Field("v", 1, 3, strip=strip),))) == [(value,)]


def test_only_blanks_are_removed() -> None:
    assert rows("\t1\u00a0\n".encode(), FixedWidth((Field("v", 1, 3),))) == [("\t1\u00a0",)]


def test_digits_stay_as_published_and_null_words_have_no_value() -> None:
    format_ = FixedWidth((Field("n", 1, 4), Field("m", 5, 8)), null=("9999",))
    assert rows(b"00019999\n", format_) == [("0001", None)]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16", "cp437", "utf-32-be"])
def test_positions_count_characters_and_not_bytes(encoding: str) -> None:
    data = "éàüde\nabcde\nßßßßß\n".encode(encoding)
    assert rows(data, FixedWidth(_FIELDS, encoding=encoding)) == [("éàü", "de"), ("abc", "de"), ("ßßß", "ßß")]


def test_a_character_beyond_the_basic_plane_is_one_character() -> None:
    assert rows("😀😀😀de\n".encode()) == [("😀😀😀", "de")]


@pytest.mark.parametrize("line", ["abcd", "abcdef", "a", "éàüd", "éàüdef", "abcde "])
def test_a_record_of_another_length_is_malformed_alone(line: str) -> None:
    batch = only(f"abcde\n{line}\nfghij\n".encode())
    assert batch.malformed.rows() == [(2, ["record__length"])]
    assert batch.frame[RECORD_NO].to_list() == [1, 3]
    assert batch.raw(2) == line.encode()


def test_blanks_at_the_end_of_a_record_may_be_left_out_if_that_is_declared() -> None:
    batch = only(b"abcde\nabc\na\nab  \nabcde \n", FixedWidth(_FIELDS, short_records=True))
    assert batch.frame.rows() == [("abc", "de", 1), ("abc", None, 2), ("a", None, 3), ("ab", None, 4)]
    assert batch.malformed.rows() == [(5, ["record__length"])]


def test_blanks_that_are_left_out_are_part_of_a_field_that_keeps_its_blanks() -> None:
    assert rows(b"a\n", FixedWidth((Field("v", 1, 3, strip=None),), short_records=True)) == [("a  ",)]


def test_filler_that_is_declared_blank_must_be_blank() -> None:
    format_ = FixedWidth((Field("a", 1, 2), Filler(3, 4, blank=True), Filler(5, 6)))
    batch = only(b"ab  xx\nab .xx\nab\txx\nabc\n", format_)
    assert batch.malformed.rows() == [(2, ["record__filler"]), (3, ["record__length"]), (4, ["record__length"])]


def test_filler_at_the_end_makes_the_record_longer() -> None:
    assert FixedWidth((Field("a", 1, 2), Filler(3, length=7))).width == 9


def test_records_are_told_apart_by_their_code() -> None:
    data = b"H20031\nD00001\nS-----\nE00002\nX00003\nD1\n\nT0005 \n"
    batch = only(data, WITH_ENDS)
    assert batch.frame.rows() == [("D", "00001", "20", "031", 1), ("E", "00002", "20", "031", 2)]
    assert batch.malformed.rows() == [(3, ["record__type"]), (4, ["record__length"])]
    assert (batch.span.records, batch.span.skipped, batch.span.first_line) == (4, 3, 2)
    assert batch.locations([1, 2, 3, 4]).to_list() == ["m:2", "m:4", "m:5", "m:6"]


def test_every_other_code_may_be_that_of_a_record() -> None:
    format_ = FixedWidth(_FIELDS, code=RecordCode(1, 3, skipped=("SKP",)), trailer=TrailerRecord("TRL"))
    assert rows(b"abcde\nSKP00\nfghij\nTRL00\n", format_) == [("abc", "de"), ("fgh", "ij")]


def test_a_record_too_short_for_its_code_is_malformed_by_its_length() -> None:
    format_ = FixedWidth(_FIELDS, code=RecordCode(4, 5, records=("XX",)))
    assert only(b"abcX\nabcXX\n", format_).malformed.rows() == [(1, ["record__length"])]


def test_a_code_of_blanks_may_be_left_out_at_the_end_of_a_short_record() -> None:
    format_ = FixedWidth(_FIELDS, code=RecordCode(4, 5, records=("X ", "  ")), short_records=True)
    batch = only(b"abc\nabcX\nabcY\n", format_)
    assert batch.frame["a"].to_list() == ["abc", "abc"]
    assert batch.malformed.rows() == [(3, ["record__type"])]


def test_a_quarantined_record_of_a_kind_that_is_skipped_now_stays_malformed() -> None:
    batch = WITH_ENDS.reread(WITH_ENDS.names, {4: b"S-----", 5: b"D00001"}, '{"day": "20", "run": null}')
    assert batch.malformed.rows() == [(4, ["record__type"])]
    assert batch.frame.rows() == [("D", "00001", "20", None, 5)]


def test_no_records_of_the_quarantine_are_an_empty_batch_without_a_header() -> None:
    batch = WITH_ENDS.reread(WITH_ENDS.names, {})
    assert (batch.names, batch.frame.height) == (WITH_ENDS.names, 0)


def test_the_values_of_the_header_are_in_every_batch_and_survive_a_resume() -> None:
    format_ = FixedWidth(WITH_ENDS.fields, **_FILE, batch_bytes=64)
    data = b"H20   \n" + b"".join(b"D%05d\n" % n for n in range(40)) + b"T0040\n"
    batches = read(data, format_)
    assert len(batches) > 3
    assert {row[2:4] for batch in batches for row in batch.frame.rows()} == {("20", None)}
    (again,) = format_.read(io.BytesIO(data), "m", index=MemberIndex("m", 0, format_.names, (batches[2].span,)))
    assert again.frame.equals(batches[2].frame)


@pytest.mark.parametrize("lines", [b"D00001\n", b"", b"D00001\nH20031\n", b"\n"])
def test_a_file_without_its_header_is_refused(lines: bytes) -> None:
    with pytest.raises(DeliveryError, match="does not begin with a header, code 'H'"):
        read(b"\n" + lines + b"T0001\n"[: 6 * bool(lines.strip())], WITH_ENDS)


@pytest.mark.parametrize("header", [b"H2003", b"H20\x0031", b"H\xff0031"])
def test_a_header_that_cannot_be_read_is_refused(header: bytes) -> None:
    with pytest.raises(DeliveryError, match="a header that is too short or not readable"):
        read(header + b"\nD00001\nT0001 \n", WITH_ENDS)


@pytest.mark.parametrize("size", [64, 1000])
def test_a_second_header_is_refused_for_it_would_change_the_records_after_it(size: int) -> None:
    data = b"H20031\n" + b"D00001\n" * 20 + b"H21031\nT0021 \n"
    with pytest.raises(DeliveryError, match="a header after its first line, line 22"):
        read(data, FixedWidth(WITH_ENDS.fields, **_FILE, batch_bytes=size))


@pytest.mark.parametrize("records", [5, 8, 20])
def test_a_line_after_the_trailer_is_refused(records: int) -> None:
    data = b"H20031\n" + b"D00001\n" * records + b"T%04d \nD00002\n" % records
    with pytest.raises(DeliveryError, match=f"a line after its trailer, line {records + 3}"):
        read(data, FixedWidth(WITH_ENDS.fields, **_FILE, batch_bytes=70))


@pytest.mark.parametrize("end", [b"", b"D00002\n", b"T\n"[:0], b"D00002"])
def test_a_file_without_its_trailer_is_refused_as_incomplete(end: bytes) -> None:
    with pytest.raises(DeliveryIncompleteError, match="does not end with a trailer, code 'T'"):
        read(b"H20031\nD00001\n" + end, WITH_ENDS)


@pytest.mark.parametrize(
    ("published", "number"),
    [
        (b"0002", "2"),
        (b"0004", "4"),
        *((other, "no number") for other in (b"    ", b"3x  ", b"-003", b"", b"+3  ")),
    ],
)
def test_a_trailer_with_another_count_refuses_the_file(published: bytes, number: str) -> None:
    with pytest.raises(DeliveryIncompleteError, match=rf"has 3 lines without header.*its trailer has {number}\."):
        read(b"H20031\nD00001\nX\n\nS-----\nT" + published + b"\n", WITH_ENDS)


@pytest.mark.parametrize(
    ("includes", "published"), [((), "3"), (("header",), "4"), (("trailer",), "04"), (("header", "trailer"), "   5")]
)
def test_the_count_of_a_trailer_includes_header_and_trailer_as_declared(includes: Any, published: str) -> None:
    format_ = FixedWidth(WITH_ENDS.fields, **_FILE | {"trailer": TrailerRecord("T", Field("n", 2, 5), includes)})
    data = f"H20031\nD00001\nD00002\nD00003\nT{published:4} \n".encode()
    assert only(data, format_).span.records == 3
    with pytest.raises(DeliveryIncompleteError):
        read(data.replace(b"D00002\n", b""), format_)


def test_a_file_with_nothing_between_header_and_trailer_has_no_records() -> None:
    batch = only(b"H20031\nT0000 \n", WITH_ENDS)
    assert (batch.span.records, batch.span.skipped, batch.frame.height) == (0, 2, 0)
    assert batch.names == ("code", "value", "day", "run")


def test_an_unterminated_trailer_is_no_unterminated_record() -> None:
    assert only(b"H20031\nD00001\nT0001 ", WITH_ENDS).unterminated is None


@pytest.mark.parametrize(("last", "number"), [("fghij", None), ("fghi", 2), ("fgh", 2), ("fghijk", 2), ("éßüñö", None)])
@pytest.mark.parametrize("short", [False, True])
def test_a_last_record_with_all_its_characters_was_not_cut(last: str, number: int | None, short: bool) -> None:  # noqa: FBT001 -- both
    assert only(f"abcde\n{last}".encode(), FixedWidth(_FIELDS, short_records=short)).unterminated == number


def test_each_file_of_an_archive_has_the_values_of_its_own_header() -> None:
    (first,) = read(b"H20031\nD00001\nT0001 \n", WITH_ENDS)
    (second,) = WITH_ENDS.read(io.BytesIO(b"H21031\nD00002\nT0001 \n"), "m", after=first.span)
    assert [batch.frame.rows() for batch in (first, second)] == [
        [("D", "00001", "20", "031", 1)],
        [("D", "00002", "21", "031", 2)],
    ]


def test_only_the_rules_that_a_declaration_can_break_are_listed() -> None:
    readable = ["record__encoding", "record__nul", "record__unterminated"]
    assert [rule.name for rule in FixedWidth(_FIELDS).rules] == ["record__length", *readable]
    assert [rule.name for rule in WITH_ENDS.rules] == ["record__length", "record__type", *readable]
    filler = FixedWidth((*_FIELDS, Filler(6, 6, blank=True)))
    assert [rule.name for rule in filler.rules] == ["record__length", "record__filler", *readable]


_CELLS = st.text(st.characters(codec="cp1252", exclude_characters="\n\r\0"), max_size=5)


@given(st.lists(st.tuples(_CELLS, _CELLS), min_size=1), st.sampled_from(["utf-8", "cp1252", "utf-16"]), st.booleans())
def test_any_table_is_read_as_it_was_written(table: list[tuple[str, str]], encoding: str, short: bool) -> None:  # noqa: FBT001 -- Hypothesis
    lines = [f"{first:<5}{second:>5}." for first, second in table]
    format_ = FixedWidth(
        (Field("x", 1, 5, strip="right"), Field("y", 6, 10, strip="left"), Field("z", 11, 11)),
        short_records=short,
        encoding=encoding,
        batch_bytes=64,
    )
    batches = read("".join(f"{line}\r\n" for line in lines).encode(encoding), format_)
    found = [row[:2] for batch in batches for row in batch.frame.rows()]
    assert found == [(first.rstrip(" ") or None, second.lstrip(" ") or None) for first, second in table]


_SAMPLE = b"H20031\n" + b"".join(b"D%05d\n" % n for n in range(20)) + b"S-----\nT0021 \n"


@given(st.integers(0, len(_SAMPLE)))
@settings(max_examples=30)
def test_a_file_that_is_cut_anywhere_is_refused(length: int) -> None:
    format_ = FixedWidth(WITH_ENDS.fields, **_FILE, batch_bytes=64)
    if length < len(_SAMPLE) - 2:
        with pytest.raises(DeliveryError):
            read(_SAMPLE[:length], format_)
    else:
        assert sum(batch.span.records for batch in read(_SAMPLE[:length], format_)) == 20


@given(st.data())
def test_bytes_that_are_flipped_anywhere_lose_no_record_silently(data: st.DataObject) -> None:
    flipped = bytearray(_SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        flipped[data.draw(st.integers(0, len(_SAMPLE) - 1))] = data.draw(st.integers(0, 255))
    try:
        batches = read(bytes(flipped), FixedWidth(WITH_ENDS.fields, **_FILE, batch_bytes=64))
    except DeliveryError:
        return
    for batch in batches:
        assert batch.frame.height + batch.malformed.height == batch.span.records
    lines = [line for line in bytes(flipped).split(b"\n") if line not in (b"", b"\r")]
    assert sum(batch.span.records + batch.span.skipped for batch in batches) == len(lines)
