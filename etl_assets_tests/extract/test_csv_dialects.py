"""Csv in every dialect agrees with a slow reader and a slow writer, which share no code with it."""

from __future__ import annotations

import io
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.errors import DeliveryError
from etl_assets.extract.formats.csv import Csv
from etl_assets.model.delivery import MemberIndex
from etl_assets.schema import RECORD_NO
from etl_assets.testing.format_suite import one_way
from etl_assets_tests.extract.slow_csv import Dialect, slow_records, write_slowly

if TYPE_CHECKING:
    from etl_assets.model.batch import RawBatch
    from etl_assets_tests.extract.slow_csv import SlowRecord

NAMES = ("h", "i")
CONTROLS = bytes((*range(1, 9), *range(14, 32), 127))
DIALECTS = [
    Dialect(),
    Dialect(escape=b"\\"),
    Dialect(quote=b"", escape=b"\\"),
    Dialect(delimiter=b"||"),
    Dialect(delimiter=b"~|~", comment=b"#"),
    Dialect(delimiter=b"::", quote=b"'", escape=b"|"),
    Dialect(delimiter=b"||", quote=b"", escape=b"\\"),
    Dialect(delimiter=b"\t", line_end=b"\r"),
    Dialect(delimiter=b"||", escape=b"\\", line_end=b"\r"),
    Dialect(line_end=b"\r", comment=b"#"),
]
dialects = st.sampled_from(DIALECTS)


def pieces(dialect: Dialect) -> list[bytes]:
    special = [dialect.delimiter, dialect.delimiter[:1], dialect.quote, dialect.escape, dialect.line_end, b"#", b"N"]
    return [
        *(piece for piece in special if piece),
        *(b"\n", b"\r", b"\r\n", b"a", b"A", b"\0", b"\xff", b"NA", b"\x01", b"\x02", CONTROLS),
        dialect.quote + b"x" + dialect.delimiter + b"y" + dialect.quote,
        dialect.escape * 2 + dialect.delimiter,
    ]


texts = dialects.flatmap(
    lambda dialect: st.tuples(st.just(dialect), st.lists(st.sampled_from(pieces(dialect)), max_size=30).map(b"".join))
)


def format_of(dialect: Dialect, **more: Any) -> Csv:
    return Csv(**{"header": NAMES, "null": ("NA", "\\N")} | dialect.arguments() | more)


def read(data: bytes, format_: Csv, **arguments: Any) -> list[RawBatch]:
    return list(format_.read(io.BytesIO(data), "", **arguments))


def seen(batches: list[RawBatch]) -> dict[int, Any]:
    """The values, or the broken rules, of each record, with its bytes and its place."""
    found: dict[int, Any] = {}
    for batch in batches:
        values = {number: tuple(row) for *row, number in batch.frame.rows()}
        values |= {number: set(rules) for number, rules in batch.malformed.rows()}
        for number, value in values.items():
            found[number] = (value, batch.raw(number), batch.location(number))
    return found


def expected_of(record: SlowRecord) -> Any:
    """The values of a record, or the rules that it breaks."""
    broken = set()
    if record.fields is None:
        broken.add("record__quoting")
    elif len(record.fields) != len(NAMES):
        broken.add("record__field_count")
    if b"\0" in record.raw:
        broken.add("record__nul")
    if b"\xff" in record.raw:
        broken.add("record__encoding")
    if broken or record.fields is None:
        return broken
    words = (b"", b"NA", b"\\N")
    return tuple(None if published in words else meant.decode() for published, meant in record.fields)


@settings(max_examples=300)
@given(texts)
def test_any_bytes_are_read_as_the_slow_reader_reads_them(text: tuple[Dialect, bytes]) -> None:
    dialect, data = text
    data = dialect.line_end + data
    with suppress(DeliveryError):
        found = seen(read(data, format_of(dialect)))
        expected = [(expected_of(one), one.raw, f":{one.line}") for one in slow_records(data, dialect)]
        assert [found[number] for number in sorted(found)] == expected


@settings(max_examples=200)
@given(texts, st.integers(64, 200))
def test_any_bytes_are_the_same_records_however_they_are_cut_resumed_and_reread(
    text: tuple[Dialect, bytes], size: int
) -> None:
    dialect, data = text
    data = dialect.line_end + data
    longest = max((len(line.raw) for line in slow_records(data, dialect)), default=0)
    lines = max(map(len, data.split(dialect.line_end)))
    fits = max(longest, lines) + 2 <= size
    try:
        (whole,) = read(data, format_of(dialect))
    except DeliveryError:
        return
    format_ = format_of(dialect, batch_bytes=size)
    with nullcontext() if fits else suppress(DeliveryError):
        cut = read(data, format_)
        assert not fits or seen(cut) == seen([whole])
        index = MemberIndex("", 0, NAMES, tuple(batch.span for batch in cut[1:]))
        assert seen(list(format_.read(one_way(data), "", index=index))) == seen(cut[1:])
        streamed = list(format_.read(one_way(data), ""))
        assert [batch.span for batch in streamed] == [batch.span for batch in cut]
        records = {number: raw for number, (_, raw, _) in seen(cut).items()}
        reread = format_.reread(NAMES, records)
        values = {number: value for number, (value, _, _) in seen(cut).items()}
        again = {number: tuple(row) for *row, number in reread.frame.rows()}
        assert again | {number: set(rules) for number, rules in reread.malformed.rows()} == values


cells = st.lists(
    st.sampled_from(
        ['"', ",", "\n", "\r\n", "\r", " ", "a", "A", "é", "😀", "|", "~", ":", "'", "\\", "\t", "\x01", "#"]
    ),
    max_size=6,
).map("".join)


tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=8)
)
encodings = st.sampled_from(["utf-8", "utf-16", "gb18030", "utf-16-be"])
sizes = st.sampled_from([100, 1 << 20])


def read_back(text: str, format_: Csv, table: list[list[str]], size: int) -> list[list[str | None]]:
    too_large = any(sum(len(cell.encode()) * 2 + 9 for cell in row) > size for row in table)
    data = (format_.line_end + text).encode(format_.encoding)
    batches = read(data, replace(format_, batch_bytes=1 << 20 if too_large else size))
    assert all(batch.malformed.is_empty() for batch in batches)
    return [list(row) for batch in batches for row in batch.frame.drop(RECORD_NO).rows()]


def read_as(table: list[list[str]]) -> list[list[str | None]]:
    return [[cell or None for cell in row] for row in table]


def names_of(table: list[list[str]]) -> tuple[str, ...]:
    return tuple(f"c{number}" for number in range(len(table[0])))


@settings(max_examples=150)
@given(st.sampled_from([dialect for dialect in DIALECTS if dialect.quote]), tables, encodings, sizes)
def test_a_table_that_is_written_with_quotes_is_read_back(
    dialect: Dialect, table: list[list[str]], encoding: str, size: int
) -> None:
    format_ = format_of(dialect, header=names_of(table), null=(), encoding=encoding)
    for line_end in {dialect.line_end.decode(), dialect.line_end.decode().replace("\n", "\r\n")}:
        assert read_back(write_slowly(table, dialect, line_end, quoted=True), format_, table, size) == read_as(table)


@settings(max_examples=150)
@given(st.sampled_from([dialect for dialect in DIALECTS if dialect.escape]), tables, encodings, sizes)
def test_a_table_that_is_written_with_escapes_alone_is_read_back(
    dialect: Dialect, table: list[list[str]], encoding: str, size: int
) -> None:
    rows = [[*row[:-1], row[-1].rstrip("\r")] for row in table]  # before LF, an escape and CR would escape CRLF
    rows = [row for row in rows if any(row) or len(row) > 1]
    text = write_slowly(rows, dialect, dialect.line_end.decode(), quoted=False)
    format_ = format_of(dialect, header=names_of(table), null=(), encoding=encoding)
    assert not rows or read_back(text, format_, rows, size) == read_as(rows)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_text_with_every_control_character_is_read_as_other_text(dialect: Dialect) -> None:
    records = [b"a" + CONTROLS + dialect.delimiter + b"b", b"c" + dialect.delimiter + CONTROLS + b"d"]
    data = dialect.line_end.join((*records, b""))
    (batch,) = read(data, format_of(dialect))
    controls = CONTROLS.decode()
    assert batch.frame.rows() == [(f"a{controls}", "b", 1), ("c", f"{controls}d", 2)]
    assert [batch.raw(number) for number in (1, 2)] == records


@settings(max_examples=200)
@given(
    texts,
    st.sampled_from(["h", None]),
    st.sampled_from(["a", None]),
    st.sampled_from(["reject", "trim", "join"]),
    st.integers(64, 200),
)
def test_any_file_with_a_header_and_a_footer_gives_the_same_records_in_batches_of_any_size(
    text: tuple[Dialect, bytes], header: str | None, footer: str | None, long: Any, size: int
) -> None:
    dialect, data = text
    names = dialect.delimiter.join((b"h", b"i")) + dialect.line_end
    data = b"title" + dialect.line_end + names + data + dialect.line_end + names + b"a" + data[:5]
    format_ = format_of(dialect, header=True, header_begins=header, footer_begins=footer, repeated_header="skip")
    format_ = replace(format_, long_records=long, short_records=header is None, skip_lines=1)
    try:
        whole = read(data, format_)
    except DeliveryError:
        return
    pieces_of = [*(raw for _, raw, _ in seen(whole).values()), *data.split(dialect.line_end)]
    fits = all(len(piece) + 2 <= size for piece in pieces_of)
    with nullcontext() if fits else suppress(DeliveryError):
        cut = read(data, replace(format_, batch_bytes=size))
        assert not fits or seen(cut) == seen(whole)
        assert not fits or sum(one.span.skipped for one in cut) == sum(one.span.skipped for one in whole)
        index = MemberIndex("", 0, cut[0].names, tuple(batch.span for batch in cut))
        assert seen(list(format_.read(one_way(data), "", index=index))) == seen(cut)
