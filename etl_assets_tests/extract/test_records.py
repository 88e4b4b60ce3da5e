"""Finding records: the fast scan gives exactly the result of a slow and simple one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.extract.formats.csv.records import (
    OPEN,
    Layout,
    field_counts,
    find_delimiters,
    find_records,
    record_end,
    split_fields,
)

_LAYOUT = Layout(b",", b'"', b"")
_WITH_COMMENTS = Layout(b",", b'"', b"#")
_UNQUOTED = Layout(b",", b"", b"")


def slow_records(data: bytes, layout: Layout) -> list[tuple[bytes, bool]]:
    """Return the records of some bytes, found one after the other, and whether each is misquoted."""
    records: list[tuple[bytes, bool]] = []
    position = 0
    while position < len(data):
        line_end = data.index(b"\n", position)
        line = data[position:line_end].removesuffix(b"\r")
        if not line or (layout.comment and line.startswith(layout.comment)):
            position = line_end + 1
            continue
        end = record_end(data, position, layout)
        if end < 0:
            records.append((line, True))
            position = line_end + 1
        else:
            records.append((data[position:end].removesuffix(b"\r"), False))
            position = end + 1
    return records


def fast_records(data: bytes, layout: Layout, *, final: bool = True) -> list[tuple[bytes, bool]]:
    records = find_records(data, layout, final=final)
    spans = zip(records.starts.tolist(), records.ends.tolist(), records.misquoted.tolist(), strict=True)
    return [(data[start:end], misquoted) for start, end, misquoted in spans]


_texts = st.lists(
    st.sampled_from([b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"a", b"bc", b"#", b'"x",', b'\n"']), max_size=60
)


@settings(max_examples=600)
@given(_texts, st.sampled_from([_LAYOUT, _WITH_COMMENTS, _UNQUOTED]))
def test_the_fast_scan_finds_the_records_of_the_slow_scan(parts: list[bytes], layout: Layout) -> None:
    data = b"".join(parts) + b"\n"
    assert fast_records(data, layout) == slow_records(data, layout)


@settings(max_examples=300)
@given(_texts, st.sampled_from([_LAYOUT, _WITH_COMMENTS]))
def test_bytes_cut_after_a_complete_record_have_the_same_records_as_before(parts: list[bytes], layout: Layout) -> None:
    data = b"".join(parts) + b"\n"
    found = find_records(data, layout, final=False)
    assert found.consumed > 0
    assert fast_records(data[: found.consumed], layout) == fast_records(data, layout, final=False)


@settings(max_examples=300)
@given(_texts, st.integers(1, 4))
def test_fields_are_counted_as_they_are_split(parts: list[bytes], expected: int) -> None:
    data = b"".join(parts) + b"\n"
    found = find_records(data, _LAYOUT, final=True)
    counts = field_counts(find_delimiters(data, found, b",").outer, found, expected)
    records = fast_records(data, _LAYOUT)
    split = [len(split_fields(record, _LAYOUT)) if not misquoted else None for record, misquoted in records]
    counted = [expected] * len(found) if counts is None else counts.tolist()
    assert [count for count, fields in zip(counted, split, strict=True) if fields is not None] == [
        fields for fields in split if fields is not None
    ]


def test_an_unclosed_quote_costs_one_line() -> None:
    data = b'1,a\n2,"open\n3,c\n4,d\n'
    assert fast_records(data, _LAYOUT) == [(b"1,a", False), (b'2,"open', True), (b"3,c", False), (b"4,d", False)]


def test_a_stray_quote_costs_one_line_and_not_the_quoted_lines_around_it() -> None:
    data = b'1,"a\nb"\n2,5" pipe\n3,"c\nd"\n'
    assert fast_records(data, _LAYOUT) == [(b'1,"a\nb"', False), (b'2,5" pipe', True), (b'3,"c\nd"', False)]


def test_an_open_record_at_the_end_of_a_block_is_left_for_the_next_block() -> None:
    data = b'1,a\n2,"open\n3,'
    found = find_records(data, _LAYOUT, final=False)
    assert found.consumed == 4
    assert record_end(data, 4, _LAYOUT) == OPEN


def test_an_open_record_as_large_as_the_block_costs_one_line() -> None:
    data = b'1,"open\n' + b"2,x\n" * 50
    assert fast_records(data, _LAYOUT, final=False)[:2] == [(b'1,"open', True), (b"2,x", False)]


def test_a_quote_in_a_comment_opens_nothing() -> None:
    data = b'# it\'s "so\n1,"a"\n# "\n2,b\n'
    assert fast_records(data, _WITH_COMMENTS) == [(b'1,"a"', False), (b"2,b", False)]


def test_a_comment_sign_within_a_quoted_field_is_data() -> None:
    data = b'1,"a\n# no comment"\n'
    assert fast_records(data, _WITH_COMMENTS) == [(b'1,"a\n# no comment"', False)]
