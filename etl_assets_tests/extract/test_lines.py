"""Line formats of one's own: how lines are cut, and what becomes of those that cannot be parsed."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets import LineFormat, RuleInfo
from etl_assets.errors import DeclarationError, DeliveryError, FormatError
from etl_assets.extract.formats.lines import ParsedLines
from etl_assets.model.delivery import MemberIndex
from etl_assets.schema import RECORD_NO
from etl_assets_tests.extract.access_log import AccessLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.extract.formats.lines import Lines
    from etl_assets.model.batch import RawBatch


@dataclass(frozen=True)
class Whole(LineFormat):
    """One column with the whole line."""

    end: str = "\n"

    @property
    def names(self) -> tuple[str, ...]:
        return ("line",)

    @property
    def line_end(self) -> str:
        return self.end

    def parse(self, line: str) -> Sequence[str | None]:
        return [line]


@dataclass(frozen=True)
class Returning(Whole):
    """Returns a value for every line, whatever it is."""

    value: Any = None

    def parse(self, line: str) -> Sequence[str | None]:
        if line == "bad":
            value: Sequence[str | None] = self.value
            return value
        return [line]


@dataclass(frozen=True)
class Raising(Whole):
    """Raises an error with the contents of the line."""

    def is_record(self, line: bytes) -> bool:
        if line == b"worse":
            raise ValueError(line)
        return True

    def parse(self, line: str) -> Sequence[str | None]:
        return {"good": ["good"]}[line]


@dataclass(frozen=True)
class AtOnce(Whole):
    """Parses all lines of a batch at once."""

    rule: str = "record__pattern"

    @property
    def rules(self) -> tuple[RuleInfo, ...]:
        return (*super().rules, RuleInfo("record__pattern", "the record has no x"))

    def parse_lines(self, lines: Lines, context: str) -> ParsedLines:  # noqa: ARG002 -- has none
        bad = lines.text.str.contains("x").to_numpy()
        return ParsedLines(lines.text.filter(pl.Series(~bad)).alias("line").to_frame(), {self.rule: bad})


class ReturningTooFew(AtOnce):
    def parse_lines(self, lines: Lines, context: str) -> ParsedLines:
        parsed = super().parse_lines(lines, context)
        return ParsedLines(parsed.frame.head(1), parsed.broken)


class ReturningOtherNames(AtOnce):
    def parse_lines(self, lines: Lines, context: str) -> ParsedLines:
        parsed = super().parse_lines(lines, context)
        return ParsedLines(parsed.frame.rename({"line": "row"}), parsed.broken)


def read(data: bytes, format_: LineFormat | None = None) -> list[RawBatch]:
    return list((format_ or Whole()).read(io.BytesIO(data), "m"))


def values(data: bytes, format_: LineFormat | None = None) -> list[str | None]:
    return [value for batch in read(data, format_) for value in batch.frame["line"].to_list()]


def rules_of(data: bytes, format_: LineFormat) -> dict[int, list[str]]:
    return dict(row for batch in read(data, format_) for row in batch.malformed.rows())


def test_a_line_becomes_its_values_and_the_null_words_become_null() -> None:
    (batch,) = read(b"a [b] -\nc [] d\n", AccessLog(null=("-",)))
    assert batch.frame.rows() == [("a", "b", None, 1), ("c", None, "d", 2)]
    assert batch.frame.columns == ["host", "moment", "status", RECORD_NO]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\n\n\r\n\nb", ["a", "b"]),
        (b"a\rb\n", ["a\rb"]),
        (b"a\r\r\n", ["a\r"]),
        (b" \n", [" "]),
        (b"\n\n", []),
        (b"\xef\xbb\xbfa\n", ["a"]),
        (b"a\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
    ],
)
def test_lines_end_with_lf_or_crlf_and_empty_lines_are_no_records(data: bytes, lines: list[str]) -> None:
    assert values(data) == lines


def test_a_format_may_end_its_lines_with_another_character() -> None:
    (batch,) = read(b"a\nb'c\r'd", Whole(end="'"))
    assert batch.frame["line"].to_list() == ["a\nb", "c\r", "d"]
    assert batch.locations([1, 2, 3]).to_list() == ["m:1", "m:2", "m:3"]
    assert batch.unterminated == 3


def test_lines_at_the_start_and_lines_that_are_no_records_are_skipped_and_counted() -> None:
    data = b"title\n\nby the publisher\n#one\n1 [a] 1\n#two\n2 [b] 2\n#three\n"
    (batch,) = read(data, AccessLog(skip_lines=3))
    assert (batch.span.offset, batch.span.first_line, batch.span.skipped) == (24, 5, 5)
    assert batch.locations([1, 2]).to_list() == ["m:5", "m:7"]


@pytest.mark.parametrize("skip", range(12))
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_skipped_lines_may_fill_several_batches(skip: int, mark: bytes) -> None:
    lines = [b"%d" % n * 30 for n in range(9)]
    batches = read(mark + b"\n".join(lines), Whole(skip_lines=skip, batch_bytes=70))
    assert [batch.raw(n) for batch in batches for n in range(batch.span.first_record, batch.span.last_record + 1)] == (
        lines[skip:]
    )
    assert sum(batch.span.skipped for batch in batches) == min(skip, 9)


@pytest.mark.parametrize(
    ("data", "format_", "words"),
    [
        (b"", Whole(), "is empty"),
        (b"\xff\xfea\0", Whole(), "encoding='utf-16'"),
        (b"a\rb\rc", Whole(), "bare carriage returns"),
        (b"a\n" + b"b" * 100, Whole(batch_bytes=64), "line longer than 64 bytes, line 2"),
        (b"a" * 100, Whole(batch_bytes=64, skip_lines=1), "line longer than 64 bytes, line 1"),
        (b"ab", Whole(encoding="utf-16"), "byte order mark"),
    ],
)
def test_bytes_that_are_no_lines_are_refused(data: bytes, format_: LineFormat, words: str) -> None:
    with pytest.raises(DeliveryError, match=words) as raised:
        read(data, format_)
    assert "Nothing was written" in str(raised.value)


def test_each_malformed_record_has_its_rule_and_the_others_are_read() -> None:
    data = b"a [b] c\nno\nd [\0] e\nf [\xff] g\nh [i] j\nk [l] m"
    (batch,) = read(data, AccessLog())
    assert batch.frame["host"].to_list() == ["a", "h", "k"]
    assert batch.malformed.rows() == [(2, ["record__pattern"]), (3, ["record__nul"]), (4, ["record__encoding"])]
    assert (batch.raw(4), batch.location(4), batch.unterminated) == (b"f [\xff] g", "m:4", 6)


@pytest.mark.parametrize("encoding", ["cp1252", "shift_jis", "euc_jp", "utf-8"])
def test_a_record_that_cannot_be_decoded_is_malformed_alone(encoding: str) -> None:
    assert rules_of(b"a\n\x81\xff\nb\n", Whole(encoding=encoding)) == {2: ["record__encoding"]}


@pytest.mark.parametrize("count", [0, 2])
def test_a_wrong_number_of_values_is_malformed(count: int) -> None:
    assert rules_of(b"a\nbad\n", Returning(value=["x"] * count)) == {2: ["record__field_count"]}


def test_a_value_with_half_a_surrogate_pair_cannot_be_stored_and_is_malformed() -> None:
    assert rules_of(b"a\nbad\n", Returning(value=["\ud83d"])) == {2: ["record__encoding"]}


@pytest.mark.parametrize("value", [None, "x", [1], [b"x"], 5])
def test_a_parse_that_returns_no_texts_is_an_error_that_names_format_and_line(value: Any) -> None:
    (batch,) = read(b"a\nbad\n", Returning(value=value))
    with pytest.raises(FormatError, match="format Returning returned no list of texts or None for the record at m:2"):
        _ = batch.frame


def test_a_parse_that_raises_is_an_error_that_names_format_and_line_and_nothing_of_the_record() -> None:
    (batch,) = read(b"good\nsecret\n", Raising())
    with pytest.raises(FormatError, match=r"Raising raised KeyError at .*:\d+ on the record at m:2") as error:
        _ = batch.frame
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_record_of_the_quarantine_on_which_parse_raises_is_named_by_its_number() -> None:
    with pytest.raises(FormatError, match="on the record at record 7"):
        Raising().reread(("line",), {7: b"secret"})


def test_an_is_record_that_raises_is_an_error_when_the_file_is_indexed() -> None:
    with pytest.raises(FormatError, match=r"is_record of the format Raising raised ValueError at .* at m:2") as error:
        read(b"good\nworse\n", Raising())
    assert "worse" not in str(error.value)


def test_a_format_may_parse_all_lines_of_a_batch_at_once() -> None:
    (batch,) = read(b"a\nx\nb\n\xff\nc\n", AtOnce())
    assert batch.frame.rows() == [("a", 1), ("b", 3), ("c", 5)]
    assert batch.malformed.rows() == [(2, ["record__pattern"]), (4, ["record__encoding"])]


@pytest.mark.parametrize(
    ("format_", "words"),
    [
        (AtOnce(rule="record__other"), "breaks rules that its rules do not list: record__other"),
        (ReturningTooFew(), "returned 1 records for 2 lines"),
        (ReturningOtherNames(), "returned a frame that has not one String column for each name"),
    ],
)
def test_a_parse_of_all_lines_that_returns_something_else_is_an_error(format_: LineFormat, words: str) -> None:
    (batch,) = read(b"a\nx\nb\n", format_)
    with pytest.raises(FormatError, match=words):
        _ = batch.frame


def test_a_batch_whose_format_has_changed_since_it_was_indexed_is_an_error() -> None:
    (batch,) = read(b"#a\nb [c] d\n", Whole())
    index = MemberIndex("m", 0, ("line",), (batch.span,))
    (again,) = AccessLog().read(io.BytesIO(b"#a\nb [c] d\n"), "m", index=index)
    with pytest.raises(DeliveryError, match="has 1 records, its index says 2"):
        _ = again.frame


def test_records_of_the_quarantine_keep_their_numbers_and_their_bytes() -> None:
    batch = AccessLog().reread(("host", "moment", "status"), {7: b"a [b] c", 3: b"two\nlines", 5: b"d [e] f"})
    assert batch.frame.rows() == [("a", "b", "c", 7), ("d", "e", "f", 5)]
    assert batch.malformed.rows() == [(3, ["record__pattern"])]
    assert (batch.raw(3), batch.location(3)) == (b"two\nlines", "record 3")


def test_a_name_that_the_format_no_longer_has_is_null_in_records_of_the_quarantine() -> None:
    batch = Whole().reread(("line", "gone"), {1: b"a"})
    assert batch.frame.rows() == [("a", None, 1)]
    assert Whole().reread(("gone",), {1: b"a"}).names == ("gone", "line")


def test_a_freed_batch_parses_again() -> None:
    (batch,) = read(b"a\n")
    before = batch.frame
    batch.forget()
    assert batch.frame.equals(before)
    assert batch.frame is not before


def test_a_format_without_parse_is_refused_when_it_is_declared() -> None:
    class Nothing(LineFormat):
        @property
        def names(self) -> tuple[str, ...]:
            return ("a",)

    with pytest.raises(DeclarationError, match="format Nothing: parse is not defined"):
        Nothing()


@pytest.mark.parametrize("names", [(), ("a", "a"), ("",), (RECORD_NO,)])
def test_a_format_with_wrong_names_is_refused_when_it_is_declared(names: tuple[str, ...]) -> None:
    class Named(Whole):
        @property
        def names(self) -> tuple[str, ...]:
            return names

    with pytest.raises(DeclarationError, match="format Named: names names"):
        Named()


_ENCODINGS = ("utf-8", "cp1252", "utf-16", "shift_jis")
_TEXT = st.text(st.characters(codec="latin-1", exclude_characters="\n\0"), max_size=12)


@given(st.lists(_TEXT, max_size=40), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["utf-8", "latin-1", "utf-16"]))
def test_any_lines_are_read_as_they_were_written(lines: list[str], end: str, encoding: str) -> None:
    data = (end.join(lines) + end).encode(encoding)
    written = [line.removesuffix("\r") if end == "\n" else line for line in lines]
    assert values(data, Whole(encoding=encoding, batch_bytes=64)) == [line for line in written if line]


@given(st.binary(max_size=300), st.sampled_from(_ENCODINGS), st.integers(0, 3))
def test_any_bytes_are_read_without_loss_or_refused(data: bytes, encoding: str, skip: int) -> None:
    format_ = Whole(encoding=encoding, batch_bytes=64, skip_lines=skip)
    try:
        batches = read(data, format_)
    except DeliveryError:
        return
    for batch in batches:
        numbers = [*batch.frame[RECORD_NO], *batch.malformed["record_no"]]
        assert sorted(numbers) == list(range(batch.span.first_record, batch.span.last_record + 1))
    if encoding in ("utf-8", "cp1252"):
        lines = [line for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line not in (b"", b"\r")]
        assert sum(batch.span.records + batch.span.skipped for batch in batches) == len(lines)


def test_lines_of_a_batch_offer_their_text_and_their_bytes() -> None:
    seen: list[Lines] = []

    class Seeing(Whole):
        def parse_lines(self, lines: Lines, context: str) -> ParsedLines:
            seen.append(lines)
            return super().parse_lines(lines, context)

    (batch,) = read("é\r\nb\n".encode("cp1252"), Seeing(encoding="cp1252"))
    _ = batch.frame
    (lines,) = seen
    assert (lines.text.to_list(), lines.raws.to_list(), list(lines)) == (["é", "b"], [b"\xe9", b"b"], [b"\xe9", b"b"])
    assert lines.select(np.array([False, True])).text.to_list() == ["b"]
    assert lines.location(1) == "m:2"
