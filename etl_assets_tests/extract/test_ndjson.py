"""Newline-delimited JSON: the exact values that are read, and the records that are malformed."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.errors import DeclarationError, DeliveryError
from etl_assets.extract.formats.json import batch as json_batch
from etl_assets.extract.formats.json.batch import JsonBatch
from etl_assets.extract.formats.ndjson import Ndjson
from etl_assets.model.delivery import MemberIndex
from etl_assets.schema import RECORD_NO


def read(data: bytes, format_: Ndjson | None = None) -> list[JsonBatch]:
    batches = list((format_ or Ndjson()).read(io.BytesIO(data), "m"))
    assert all(isinstance(batch, JsonBatch) for batch in batches)
    return batches  # type: ignore[return-value]


def only(data: bytes, format_: Ndjson | None = None) -> JsonBatch:
    (batch,) = read(data, format_)
    return batch


def cells(value: str) -> Any:
    """Return the cell that a JSON value becomes."""
    return only(f'{{"x": {value}}}'.encode()).frame["x"].item()


@pytest.mark.parametrize(
    "number", ["1", "-0", "1.10", "0.1234567890123456789", "12345678901234567890123", "1E400", "1e-999", "-1.5e+3"]
)
def test_a_number_is_the_digits_that_were_published(number: str) -> None:
    assert cells(number) == number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("null", None),
        ('"null"', "null"),
        ('""', ""),
        ("true", "true"),
        ("false", "false"),
        (r'"a\"b\\c\n\u00e9\ud83d\ude00"', 'a"b\\c\né😀'),
        ('"{"', "{"),
        ("[1.10, null]", "[1.10, null]"),
        ('{ "b" : [1.0 ] }', '{ "b" : [1.0 ] }'),
        ('" a "', " a "),
        (r'"\u0000"', "\0"),
        (r'"\\"', "\\"),
        (r'"\""', '"'),
    ],
)
def test_a_value_becomes_its_text_or_its_json_as_published(value: str, text: str | None) -> None:
    assert cells(value) == text


def test_null_words_are_no_values_and_other_texts_are() -> None:
    frame = only(b'{"x": ""}\n{"x": "NA"}\n{"x": "n"}\n{"y": 1}', Ndjson(null=("", "NA"))).frame
    assert frame["x"].to_list() == [None, None, "n", None]


def test_names_are_all_keys_of_any_record_in_the_order_of_first_use() -> None:
    batch = only(b'{"b": 1}\n{"a": 2, "b": 3}\n\n{"c": null}\n')
    assert batch.names == ("b", "a", "c")
    assert batch.frame.rows() == [("1", None, None, 1), ("3", "2", None, 2), (None, None, None, 3)]


@pytest.mark.parametrize(
    ("record", "rule"),
    [
        (b"[1]", "record__object"),
        (b'"text"', "record__object"),
        (b"{", "record__object"),
        (b'{"a": 1} {"a": 2}', "record__object"),
        (b'{"a": NaN}', "record__object"),
        (b'{"a": 01}', "record__object"),
        (b'{"a": 1,}', "record__object"),
        (b'{"a": "\t"}', "record__object"),
        (rb'{"a": "\ud800"}', "record__object"),
        (rb'{"\ud800": 1}', "record__object"),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, "record__object"),
        (b'{"a": "\xff"}', "record__encoding"),
        (b"\xff", "record__encoding"),
        (b'{"a": 1, "a": 2}', "record__key_twice"),
        (b'{"a": 1, "b": 2, "a": "x"}', "record__key_twice"),
        (rb'{"a": 1, "\u0061": 2}', "record__key_twice"),
    ],
)
def test_a_malformed_record_does_not_affect_other_records(record: bytes, rule: str) -> None:
    batch = only(b'{"a": 1}\n' + record + b'\n{"a": 3}\n')
    assert batch.malformed.rows() == [(2, [rule])]
    assert batch.frame.rows() == [("1", 1), ("3", 3)]
    assert batch.raw(2) == record


@pytest.mark.parametrize(
    "record", [rb'{"a\"b": "\"", "c": 1}', b'{"a": {"b": 1, "b": 2}}', b'{"a": "\\"a\\": 1"}', b'{"": 1}', b"{}"]
)
def test_quotes_in_keys_and_values_are_not_taken_for_a_repeated_key(record: bytes) -> None:
    assert only(record).malformed.is_empty()


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "m is empty. Nothing was written."),
        (b"\xff\xfe{\0}\0", "begins with the byte order mark of utf-16"),
        (b'{"_record_no": 1}', "publishes the name '_record_no'"),
        (b'{"a": "' + b"x" * 300 + b'"}', "has a line longer than 200 bytes, line 1"),
        (b"\n".join(b'{"k%d": 1}' % n for n in range(2001)), "2,001 different names; at most 2,000 can be read"),
        (rb'{"a\u0000b": 1}', "publishes names with a NUL character: 'a\\x00b'"),
    ],
)
def test_an_unusable_file_is_refused_with_a_remedy(data: bytes, problem: str) -> None:
    with pytest.raises(DeliveryError) as error:
        read(data, Ndjson(batch_bytes=200))
    assert problem in str(error.value)
    assert "Nothing was written. " in str(error.value)


@pytest.mark.parametrize(("field", "value"), [("null", "NA"), ("null", (1,)), ("batch_bytes", 0)])
def test_a_wrong_declaration_is_refused(field: str, value: Any) -> None:
    with pytest.raises(DeclarationError, match=f"^format Ndjson: {field}"):
        Ndjson(**{field: value})


def test_blank_lines_count_in_locations() -> None:
    batches = read(b'\n\n{"a": 1}\n \n{"a": 2}\n\t\n{"a": 3}\n', Ndjson(batch_bytes=14))
    places = [b.location(n) for b in batches for n in range(b.span.first_record, b.span.last_record + 1)]
    assert places == ["m:3", "m:5", "m:7"]
    again = Ndjson().read(io.BytesIO(b'\n\n{"a": 1}\n \n{"a": 2}\n\t\n{"a": 3}\n'), "m", index=_index(batches))
    assert [batch.location(batch.span.first_record) for batch in again] == places


def _index(batches: list[JsonBatch]) -> MemberIndex:
    return MemberIndex("m", 0, ("a",), tuple(batch.span for batch in batches))


def test_a_reread_record_may_have_names_that_its_delivery_does_not_have() -> None:
    reread = Ndjson().reread(("a",), {4: b'{"a": 1}', 9: b'{"b": 2}'})
    assert reread.frame.rows() == [("1", None, 4), (None, "2", 9)]


CHARACTERS = st.characters(exclude_categories=["Cs"])
_TEXTS = st.text(CHARACTERS, max_size=5)
_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), _TEXTS, st.floats(allow_nan=False, allow_infinity=False, width=32)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(_TEXTS, inner, max_size=2)),
    max_leaves=4,
)


_KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3)


@given(st.lists(st.dictionaries(_KEYS, _VALUES, max_size=4), min_size=1, max_size=8))
def test_any_json_value_is_read_unchanged(records: list[dict[str, Any]]) -> None:
    records = [{key: value for key, value in record.items() if key != RECORD_NO} for record in records]
    lines = [json.dumps(record, ensure_ascii=bool(len(record) % 2)).encode() for record in records]
    data = b"\n".join(lines)
    rows = [row for batch in read(data, Ndjson(batch_bytes=10_000)) for row in batch.frame.iter_rows(named=True)]
    assert len(rows) == len(records)
    for row, record in zip(rows, records, strict=True):
        for key, value in record.items():
            cell = row[key]
            if isinstance(value, str):
                assert cell == value
            else:
                assert (None if cell is None else json.loads(cell)) == value


@given(st.lists(st.sampled_from([b"{}", b'{"a": 1}', b"[1]", b"", b" \t", b"\xff", b"{}\r"]), min_size=1, max_size=20))
def test_bytes_and_locations_of_many_records_are_those_of_each(lines: list[bytes]) -> None:
    for batch in read(b"\n".join([b"{}", *lines]), Ndjson(batch_bytes=16)):
        numbers = range(batch.span.first_record, batch.span.last_record + 1)
        for chosen in (numbers, numbers[1::2]):
            assert batch.raws(chosen).to_list() == [batch.raw(number) for number in chosen]
            assert batch.locations(chosen).to_list() == [batch.location(number) for number in chosen]


def test_a_batch_whose_records_have_few_of_many_keys_is_cut_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_batch, "MOST_CELLS", 100)
    data = b"\xef\xbb\xbf\n" + b"".join(b'{"k%d": %d}\n\n' % (number % 50, number) for number in range(200))
    batches = read(data)
    assert max(batch.span.records * len(batch.names) for batch in batches) <= 100
    firsts = [batch.span.first_record for batch in batches]
    places = [batch.location(first) for batch, first in zip(batches, firsts, strict=True)]
    assert places == [f"m:{2 * first}" for first in firsts]
    names = tuple(dict.fromkeys(name for batch in batches for name in batch.names))
    index = MemberIndex("", len(data), names, tuple(batch.span for batch in batches))
    (*again,) = Ndjson().read(io.BytesIO(data), "", index=index)
    rows = [row for batch in again for row in batch.frame.rows(named=True)]
    assert [row["_record_no"] for row in rows] == list(range(1, 201))
    assert all(row[f"k{number % 50}"] == str(number) for number, row in enumerate(rows))
    assert all(batch.frame.columns == [*names, "_record_no"] for batch in again)
