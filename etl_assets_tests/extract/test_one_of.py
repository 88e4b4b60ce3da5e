"""Which layout a file is read in: by its bytes and by its partition, and by nothing else."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, cast

import pytest

from etl_assets.errors import DeclarationError, DeliveryError
from etl_assets.extract.formats.csv import Csv
from etl_assets.extract.formats.ndjson import Ndjson
from etl_assets.extract.formats.one_of import Layout, OneOf
from etl_assets.testing.format_suite import one_way

if TYPE_CHECKING:
    from etl_assets.extract.base import Format

COMMA, SEMICOLON, UTF16 = Csv(), Csv(delimiter=";"), Csv(encoding="utf-16")
HEADERLESS = Csv(header=("a", "b", "c"))
EVERY = OneOf(COMMA, SEMICOLON, UTF16, Ndjson())


def names(format_: Format, data: bytes) -> tuple[str, ...]:
    return next(iter(format_.read(io.BytesIO(data), ""))).names


@pytest.mark.parametrize(
    ("data", "layout"),
    [
        (b"a,b\n1,2\n", 0),
        (b"a;b\n1;2\n", 1),
        ("a,b\n1,2\n".encode("utf-16"), 2),
        (b'{"a": 1, "b": 2}\n', 3),
        (b"a;b\n1;2\n" * 50_000, 1),
        ("a,b\nä,2\n".encode("utf-16") * 50_000, 2),
    ],
)
def test_a_file_is_read_in_the_first_layout_that_its_bytes_allow(data: bytes, layout: int) -> None:
    for stream in (io.BytesIO(data), one_way(data, 1000)):
        batch = next(iter(EVERY.read(stream, "")))
        assert batch.names == ("a", "b")
        assert batch.span.context == f"{layout} "


def test_the_declared_order_decides_between_layouts_that_both_fit() -> None:
    assert names(OneOf(COMMA, SEMICOLON), b"a;b,c\n1;2,3\n") == ("a;b", "c")
    assert names(OneOf(SEMICOLON, COMMA), b"a;b,c\n1;2,3\n") == ("a", "b,c")


def test_an_encoding_is_chosen_by_a_record_that_is_in_no_other() -> None:
    either = OneOf(Csv(), Csv(encoding="cp1252"))
    data = b"a,b\n" + b"x,y\n" * 100 + b"x,\xe9\n" + b"x,y\n"
    assert next(iter(either.read(io.BytesIO(data), ""))).frame["b"][100] == "é"


def test_the_number_of_headerless_fields_decides() -> None:
    four = Csv(header=("a", "b", "c", "d"))
    assert names(OneOf(HEADERLESS, four), b"1,2,3,4\n") == ("a", "b", "c", "d")
    assert names(OneOf(four, HEADERLESS), b"1,2,3\n") == ("a", "b", "c")


def test_a_partition_has_only_the_layouts_that_are_declared_for_it() -> None:
    old, new = Csv(header=("old", "b")), Csv(header=("new", "b"))
    either = OneOf(Layout(old, last="2019-12-31"), Layout(new, first="2020-01-01"))
    data = b"1,2\n"
    assert names(either.of_partition("2019-06-01"), data) == ("old", "b")
    assert names(either.of_partition("2020-06-01"), data) == ("new", "b")
    assert names(OneOf(Layout(old, keys="a/*"), new).of_partition("b/x"), data) == ("new", "b")


def test_a_file_in_none_of_the_layouts_is_refused_with_the_reason_of_each() -> None:
    either = OneOf(Layout(COMMA, keys="2019-*"), SEMICOLON, Ndjson()).of_partition("2020-01-01")
    with pytest.raises(DeliveryError) as raised:
        names(either, b"a|b\n1|2\n")
    text = str(raised.value)
    assert "layout 1, Csv, is not for the partition 2020-01-01" in text
    assert "layout 2, Csv, would have 1 column in it" in text
    assert "layout 3, Ndjson, would have a malformed record 1 (record__object)" in text


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(DeliveryError, match="layout 1, Csv, is empty"):
        names(EVERY, b"")


def test_a_record_is_read_again_in_the_layout_that_it_was_written_in() -> None:
    reread = EVERY.reread(("a", "b"), {7: b"1;2"}, "1 ")
    assert reread.frame.rows() == [("1", "2", 7)]


def test_the_members_of_an_archive_may_have_different_layouts() -> None:
    first = list(EVERY.read(io.BytesIO(b"a,b\n1,2\n"), "x.csv"))
    second = list(EVERY.read(io.BytesIO(b"a;b\n3;4\n"), "y.csv", after=first[-1].span))
    assert [batch.frame.rows() for batch in (*first, *second)] == [[("1", "2", 1)], [("3", "4", 2)]]


def test_each_layout_decides_about_a_record_without_its_line_end() -> None:
    either = OneOf(Csv(unterminated="report"), Csv(delimiter=";"))
    assert next(iter(either.read(io.BytesIO(b"a,b\n1,2"), ""))).on_unterminated == "report"
    assert next(iter(either.read(io.BytesIO(b"a;b\n1;2"), ""))).on_unterminated == "reject"


@pytest.mark.parametrize(
    ("declare", "remedy"),
    [
        (lambda: OneOf(Csv()), "Name two formats or more"),
        (OneOf, "Name two formats or more"),
        (lambda: OneOf(Csv(), OneOf(Csv(), Csv())), "Write its layouts directly"),
        (lambda: Layout(Csv(), keys=""), "Write a glob"),
        (lambda: Layout(Csv(), first="b", last="a"), "Write the least key"),
        (lambda: OneOf(Csv(), cast("Any", "csv")), "Write a Format or a Layout"),
    ],
)
def test_a_mistake_in_a_choice_is_refused_with_its_remedy(declare: object, remedy: str) -> None:
    with pytest.raises(DeclarationError, match=remedy):
        declare()  # type: ignore[operator]
