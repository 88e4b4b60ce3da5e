"""JSON documents: where records are found, what they become, and what refuses a document."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.formats.json import Json
from etl_assets.extract.formats.json import batch as json_batch
from etl_assets.extract.formats.json import explode as json_explode
from etl_assets.extract.formats.ndjson import Ndjson
from etl_assets.model.delivery import MemberIndex
from etl_assets.schema import RECORD_NO
from etl_assets_tests.extract.test_ndjson import CHARACTERS

if TYPE_CHECKING:
    from etl_assets.model.batch import RawBatch


def read(data: bytes, format_: Json | Ndjson | None = None) -> list[RawBatch]:
    return list((format_ or Json()).read(io.BytesIO(data), "m"))


def only(data: bytes, format_: Json | Ndjson | None = None) -> RawBatch:
    (batch,) = read(data, format_)
    return batch


def rows(data: bytes, format_: Json | Ndjson | None = None) -> list[dict[str, Any]]:
    """Return what the well-formed records hold, without what is null."""
    read_rows = [row for batch in read(data, format_) for row in batch.frame.drop(RECORD_NO).to_dicts()]
    return [{name: value for name, value in row.items() if value is not None} for row in read_rows]


def places(batch: RawBatch) -> list[str]:
    return [batch.location(number) for number in range(batch.span.first_record, batch.span.last_record + 1)]


@pytest.mark.parametrize(
    ("records", "document", "found"),
    [
        ("$", '[{"a": 1}, {"a": 2}]', ["m:$[0]", "m:$[1]"]),
        ("$[*]", '[{"a": 1}]', ["m:$[0]"]),
        ("$", '{"a": 1}', ["m:$"]),
        ("$.x.y", '{"x": {"z": [{}], "y": [{"a": 1}]}}', ["m:$.x.y[0]"]),
        ("$['x.y'][\"it's\"]", '{"x.y": {"it\'s": {"a": 1}}}', ["m:$['x.y']['it\\'s']"]),
        ("$[*][*]", '[[{"a": 1}], [], [{"a": 2}]]', ["m:$[0][0]", "m:$[2][0]"]),
        ("$.g[*].i", '{"g": [{"i": []}, {"i": [{"a": 1}, {"a": 2}]}]}', ["m:$.g[1].i[0]", "m:$.g[1].i[1]"]),
        ("$.g[*].i", '{"g": [{"i": {"a": 1}}, {"i": [{"a": 2}]}]}', ["m:$.g[0].i", "m:$.g[1].i[0]"]),
    ],
)
def test_records_are_found_at_their_path_and_their_places_name_it(
    records: str, document: str, found: list[str]
) -> None:
    batch = only(document.encode(), Json(records))
    assert places(batch) == found
    assert batch.frame["a"].to_list() == [str(number) for number in range(1, len(found) + 1)]
    assert batch.malformed.is_empty()


def test_the_members_of_an_object_are_records_with_their_keys() -> None:
    data = b'{"AT": {"x": 1}, "D\\"E" : {"x": 2}, "y": 5, "z": {"code": 1}, "\\ud800": {}}'
    batch = only(data, Json("$.*", key_name="code"))
    assert batch.frame.rows() == [("AT", "1", 1), ('D"E', "2", 2)]
    assert batch.malformed["rules"].to_list() == [["record__object"], ["record__key_twice"], ["record__object"]]
    assert places(batch) == ["m:$.AT", "m:$['D\"E']", "m:$.y", "m:$.z", 'm:$["\\ud800"]']
    assert batch.raw(2) == b'"D\\"E" : {"x": 2}'


@pytest.mark.parametrize("number", ["1", "-0", "1.10", "0.1234567890123456789", "12345678901234567890123", "1E400"])
def test_a_number_is_the_digits_that_were_published(number: str) -> None:
    assert rows(f'[{{"x": {number}, "y": [{number}]}}]'.encode()) == [{"x": number, "y": f"[{number}]"}]


@pytest.mark.parametrize(
    ("record", "rule"),
    [
        (b"[1]", "record__object"),
        (b"1", "record__object"),
        (b"null", "record__object"),
        (b'"text"', "record__object"),
        (b'{"a": NaN}', "record__object"),
        (b'{"a": -Infinity}', "record__object"),
        (b'{"a": 01}', "record__object"),
        (b'{"a": 1,}', "record__object"),
        (b"{'a': 1}", "record__object"),
        (b"{a: 1}", "record__object"),
        (b'{"a": "\t"}', "record__object"),
        (rb'{"a": "\ud800"}', "record__object"),
        (b"nonsense", "record__object"),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, "record__object"),
        (b'{"a": "\xff"}', "record__encoding"),
        (b'{"a": 1, "a": 2}', "record__key_twice"),
        (rb'{"a": 1, "\u0061": 2}', "record__key_twice"),
        (b'{"a": 1, "o": {"b": 1, "b": 2}}', "record__key_twice"),
        (b'{"a": 1, "o": {"b": 1}, "o.b": 2}', "record__key_twice"),
        (b'{"a": 1, "o": {"p": {"b": 1, "b": 2}}}', "record__key_twice"),
    ],
)
def test_a_malformed_record_does_not_affect_other_records(record: bytes, rule: str) -> None:
    batch = only(b'{"r": [{"a": 1} , ' + record + b' ,{"a": 3}], "more": []}', Json("$.r", flatten=("o", "o.p")))
    assert batch.malformed.rows() == [(2, [rule])]
    assert batch.frame["a"].to_list() == ["1", "3"]
    assert batch.raw(2) == record


def test_a_key_that_stands_twice_within_a_value_that_stays_json_is_kept_as_published() -> None:
    assert rows(b'[{"a": {"b": 1, "b": 2}}]') == [{"a": '{"b": 1, "b": 2}'}]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "m is empty"),
        (b" \n", "m has no JSON value. "),
        (b"\xff\xfe[\0]\0", "begins with the byte order mark of utf-16"),
        (b"{\0}\0", "is not valid JSON at byte 1. "),
        (b'{"r": []} x', "goes on after the end of its JSON value, at byte 10. "),
        (b'{"r": []}\n{"r": []}', "if each line is one, declare the format Ndjson."),
        (b'{"r": [1,]}', "is not valid JSON at byte 9. "),
        (b'{"r": [,1]}', "is not valid JSON at byte 7. "),
        (b'{"r": [1 2]}', "is not valid JSON at byte 9. "),
        (b'{"r": [{"a": 1]]}', "is not valid JSON at byte 7. "),
        (b'{"r": [1}}', "is not valid JSON at byte 8. "),
        (b'{"r": [], "x": NaN}', "is not valid JSON at byte 15. "),
        (b'{"r": [], "x": {"y": 01}}', "is not valid JSON at byte 15. "),
        (b'{"r": [], "x": "\xff"}', "is not valid JSON at byte 15. "),
        (b'{"r": [], "\xff": 1}', "is not valid JSON at byte 10. "),
        (b'{"r": [], "\\ud800": 1}', "is not valid JSON at byte 10. "),
        (b'{"r": [], "x" 1}', "is not valid JSON at byte 14. "),
        (b'{"r": [], x: 1}', "is not valid JSON at byte 10. "),
        (b'{"r": [], "r": []}', "has $.r twice"),
        (b'{"b": 1, "a": 2}', "lacks 'r' at $, whose keys are 'b', 'a'. "),
        (b"{}", "lacks 'r' at $, which has no keys. "),
        (b"[]", "has an array at $, where the declared path needs an object. "),
        (b"3", "has a number at $, where the declared path needs an object. "),
        (b'{"r": [{"a": "' + b"x" * 300 + b'"}]}', "has a value longer than 200 bytes, at byte 7. "),
        (b'{"r": [{"_record_no": 1}]}', "publishes the name '_record_no'"),
        (
            b'{"r": [' + b",".join(b'{"k%d": 1}' % n for n in range(2001)) + b"]}",
            "2,001 different names; at most 2,000",
        ),
        (b'{"x": ' + b"[" * 100_000 + b'], "r": []}', "is nested more than 200 levels deep. "),
    ],
)
def test_an_unusable_document_is_refused_with_a_remedy(data: bytes, problem: str) -> None:
    with pytest.raises(DeliveryError) as error:
        read(data, Json("$.r", batch_bytes=200))
    assert problem in str(error.value)
    assert "Nothing was written. " in str(error.value)


def test_a_document_that_is_cut_short_anywhere_is_incomplete() -> None:
    document = b' {"a": {"b": [1, "\\""]}, "r": [{"x": {"y": "z"}}, {"x": 1.5}], "c": true}'
    assert len(rows(document, Json("$.r"))) == 2
    for end in range(1, len(document)):
        with pytest.raises(DeliveryError) as error:
            read(document[:end], Json("$.r"))
        cut_within_word = document[:end].endswith((b"t", b"tr", b"tru"))
        assert isinstance(error.value, DeliveryIncompleteError) != cut_within_word or not document[:end].strip()


@pytest.mark.parametrize("batch_bytes", [30, 31, 47, 64, 1000])
def test_what_is_outside_the_path_is_read_in_blocks_of_any_size(batch_bytes: int) -> None:
    beside = json.dumps({"a": [{"b": "x" * 20, "c": [1, 2.5, None]}] * 9, "d": {"e": '\\"]}'}})
    document = f'{{"before": {beside},\n "r": [{{"x": 1}},  {{"x": 2}}], "after" : {beside} }} \n'.encode()
    assert rows(document, Json("$.r", batch_bytes=batch_bytes)) == [{"x": "1"}, {"x": "2"}]


def test_groups_without_the_key_count_as_skipped_and_a_document_without_any_is_refused() -> None:
    batch = only(b'{"g": [{"i": [{"a": 1}]}, {"j": 1}, {}, {"i": []}]}', Json("$.g[*].i"))
    assert (batch.span.records, batch.span.skipped) == (1, 2)
    with pytest.raises(DeliveryError, match=r"lacks 'i' at \$\.g\[0\], whose keys are 'j'\. "):
        read(b'{"g": [{"j": []}, {}]}', Json("$.g[*].i"))
    assert only(b'{"g": []}', Json("$.g[*].i")).span.records == 0


@pytest.mark.parametrize(
    ("document", "skipped"),
    [
        ('{"g": [{"i": null}, null, {"j": 1}, {"i": []}]}', 3),
        ('{"g": null}', 1),
        ("null", 1),
        ("{}", 1),
        ('{"h": [null]}', 1),
        ('{"g": []}', 0),
    ],
)
def test_what_is_missing_or_null_has_no_records_if_that_is_declared(document: str, skipped: int) -> None:
    batch = only(document.encode(), Json("$.g[*].i", missing_ok=True))
    assert (batch.span.records, batch.span.skipped) == (0, skipped)


def test_a_path_that_may_be_missing_leads_to_the_same_records_and_to_something_of_the_right_kind() -> None:
    document = b'{"g": [{"i": [{"a": 1}, null]}, {"i": null}, {"i": [{"a": 2}]}]}'
    (batch,) = read(document, Json("$.g[*].i", missing_ok=True))
    assert batch.frame.get_column("a").to_list() == ["1", "2"]
    assert batch.malformed.height == 1
    for wrong in (b'{"g": 1}', b'{"g": "null"}', b'{"g": nul}'):
        with pytest.raises(DeliveryError):
            read(wrong, Json("$.g[*].i", missing_ok=True))


def test_flattened_objects_are_columns_and_others_stay_json() -> None:
    data = b'[{"a": {"b": 1, "c": {"d": "x"}}, "e": {"f": 2}}, {"a": null}, {"a": "text"}, {"a": {}}]'
    assert rows(data, Json(flatten=("a",))) == [
        {"a.b": "1", "a.c": '{"d": "x"}', "e": '{"f": 2}'},
        {},
        {"a": "text"},
        {},
    ]
    assert rows(data, Json(flatten=("a", "a.c")))[0] == {"a.b": "1", "a.c.d": "x", "e": '{"f": 2}'}
    assert rows(data, Json(flatten=True))[0] == {"a.b": "1", "a.c.d": "x", "e.f": "2"}
    assert rows(b'{"a": {"b": 1}}', Ndjson(flatten=True)) == [{"a.b": "1"}]


def test_a_null_of_a_flattened_object_publishes_no_name() -> None:
    assert only(b'[{"a": {"b": 1}}, {"a": null}]', Json(flatten=("a",))).names == ("a.b",)


def test_all_levels_are_flattened_down_to_a_limit() -> None:
    data = b'[{"a":' + b'{"a":' * 20 + b"1" + b"}" * 20 + b"}]"
    assert rows(data, Json(flatten=True)) == [{".".join("a" * 17): '{"a":' * 4 + "1" + "}" * 4}]


_ORDERS = b"""[
  {"id": 1, "lines": [{"sku": "a", "n": 1.0}, {"sku": "b"}, 7], "by": "x"},
  {"id": 2, "lines": []}, {"id": 3, "lines": null}, {"id": 4}, {"id": 5, "lines": {}},
  {"id": 6, "lines": [{"sku": 1, "sku": 2}, {"sku": "c"}]}, {"id": 7, "lines.sku": 1, "lines": [{"sku": 1}, {}]}, 8
]"""


def test_each_element_of_an_exploded_array_is_a_record_with_the_other_fields() -> None:
    batch = only(_ORDERS, Json(explode="lines"))
    assert [{k: v for k, v in row.items() if v is not None} for row in batch.frame.to_dicts()] == [
        {"id": "1", "by": "x", "lines.sku": "a", "lines.n": "1.0", RECORD_NO: 1},
        {"id": "1", "by": "x", "lines.sku": "b", RECORD_NO: 2},
        {"id": "1", "by": "x", "lines": "7", RECORD_NO: 3},
        {"id": "6", "lines.sku": "c", RECORD_NO: 7},
        {"id": "7", "lines.sku": "1", RECORD_NO: 9},
    ]
    assert batch.malformed.rows() == [
        (4, ["record__array"]),
        (5, ["record__array"]),
        (6, ["record__key_twice"]),
        (8, ["record__key_twice"]),
        (10, ["record__object"]),
    ]
    assert (batch.span.records, batch.span.skipped) == (10, 2)
    assert places(batch)[:4] == ["m:$[0].lines[0]", "m:$[0].lines[1]", "m:$[0].lines[2]", "m:$[3]"]


def test_the_bytes_of_an_element_are_its_object_with_this_element_alone() -> None:
    batch = only(_ORDERS, Json(explode="lines"))
    assert json.loads(batch.raw(2)) == {"id": 1, "lines": [{"sku": "b"}], "by": "x"}
    assert batch.raw(1) == b'{"id": 1, "lines": [{"sku": "a", "n": 1.0}], "by": "x"}'
    assert batch.raw(4) == b'{"id": 4}'
    assert Json(explode="lines").reread((), {9: batch.raw(2)}).frame.rows() == [("1", "x", "b", 9)]


def test_a_record_of_the_quarantine_that_has_more_than_one_element_is_malformed() -> None:
    reread = Json(explode="lines").reread(("id",), {4: b'{"id": 1, "lines": [1, 2]}', 6: b'{"id": 2, "lines": []}'})
    assert reread.malformed.rows() == [(4, ["record__array"]), (6, ["record__array"])]


def test_elements_that_would_repeat_too_many_bytes_are_not_exploded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_explode, "MOST_REPEATED", 200)
    monkeypatch.setattr(json_batch, "MOST_REPEATED", 200)
    small = b'{"a": "xxxxxxxxxx", "l": [1, 2, 3]}'
    batches = read(b"[" + b",".join([small] * 12) + b"]", Json(explode="l"))
    assert len(batches) > 1
    assert sum(batch.span.records for batch in batches) == 36
    batch = only(b'[{"a": "' + b"x" * 90 + b'", "l": [1, 2, 3]}]', Json(explode="l"))
    assert batch.malformed.rows() == [(1, ["record__array"])]


def test_a_file_whose_arrays_are_all_empty_has_no_record_and_counts_them_as_skipped() -> None:
    batch = only(b'[{"l": []}, {"l": null}]', Json(explode="l"))
    assert (batch.span.records, batch.span.skipped, batch.frame.height) == (0, 2, 0)


def test_empty_arrays_count_in_the_next_batch_or_the_last() -> None:
    data = b"\n".join([b'{"l": []}'] * 5 + [b'{"l": [1]}'] + [b'{"l": []}'] * 5)
    for format_, document in (
        (Ndjson(explode="l", batch_bytes=20), data),
        (Json(explode="l", batch_bytes=20), b"[" + data.replace(b"\n", b",") + b"]"),
    ):
        spans = [batch.span for batch in read(document, format_)]
        assert sum(span.records for span in spans) == 1
        assert sum(span.skipped for span in spans) == 10
        assert [span.records for span in spans] == [1, 0]


def test_an_element_of_a_line_is_placed_by_line_and_index() -> None:
    assert places(only(b'\n{"l": [1, 2]}', Ndjson(explode="l"))) == ["m:2.l[0]", "m:2.l[1]"]


def test_a_batch_in_the_middle_of_nested_arrays_is_read_alone_with_its_places() -> None:
    groups = ", ".join(f'{{"n": {n}, "i": [{{"a": {n}}}, {{"a": -{n}}}], "z": [{{}}]}}' for n in range(30))
    data = f'{{"g": [{groups}], "end": []}}'.encode()
    format_ = Json("$.g[*].i", batch_bytes=90)
    whole = read(data, format_)
    assert len(whole) > 10
    for batch in whole:
        (alone,) = format_.read(io.BytesIO(data), "m", index=MemberIndex("m", 0, ("a",), (batch.span,)))
        assert places(alone) == places(batch)
        assert alone.frame.equals(batch.frame)
    assert [place for batch in whole for place in places(batch)] == [
        f"m:$.g[{n}].i[{k}]" for n in range(30) for k in range(2)
    ]


_NAMES = st.text(CHARACTERS.filter(lambda character: character != "\0"), max_size=3).filter(
    lambda key: key != RECORD_NO
)
_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.text(CHARACTERS, max_size=5),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=50)
@given(
    st.lists(st.dictionaries(_NAMES, _VALUES, max_size=4), max_size=6),
    _VALUES,
    st.sampled_from([None, 1, "\t"]),
    st.booleans(),
)
def test_any_json_value_is_read_unchanged(records: list[dict[str, Any]], beside: Any, indent: Any, ascii_: Any) -> None:
    document = json.dumps({"x": beside, "r": records, "y": beside}, indent=indent, ensure_ascii=ascii_)
    found = [
        row
        for batch in read(document.encode(), Json("$.r", batch_bytes=3000))
        for row in batch.frame.iter_rows(named=True)
    ]
    assert len(found) == len(records)
    for row, record in zip(found, records, strict=True):
        for key, value in record.items():
            cell = row[key]
            assert cell == value if isinstance(value, str) else (None if cell is None else json.loads(cell)) == value


_SAMPLE = (
    b'\xef\xbb\xbf{"a": {"b": [1, "\\""]}, "r": [{"x": {"y": "z\\u00e9"}, "l": [{"p": 1}, 2]},'
    b'\n {"x": 1.5}], "c": true}'
)
_FORMATS = (
    Json("$.r", batch_bytes=64),
    Json("$", flatten=True, explode="r"),
    Json("$.a.b[*]"),
    Json("$.*", key_name="k"),
    Ndjson(flatten=True, explode="l"),
)


@given(st.integers(0, len(_SAMPLE)), st.binary(max_size=3), st.integers(0, 4), st.sampled_from(_FORMATS))
def test_bytes_that_are_changed_anywhere_give_records_or_a_delivery_error(
    at: int, bytes_: bytes, removed: int, format_: Json | Ndjson
) -> None:
    data = _SAMPLE[:at] + bytes_ + _SAMPLE[at + removed :]
    try:
        batches = read(data, format_)
    except DeliveryError:
        return
    for batch in batches:
        assert batch.frame.height + batch.malformed.height == batch.span.records
        numbers = range(batch.span.first_record, batch.span.last_record + 1)
        reread = format_.reread(batch.names, {number: batch.raw(number) for number in numbers}, batch.span.context)
        assert reread.frame.equals(batch.frame)
        assert reread.malformed.equals(batch.malformed)
        assert all(batch.location(number).startswith("m:") for number in numbers)


_ELEMENTS = [
    b'{"a": 1}',
    b'{"a": "}, {"}',
    b'{"a": [{"b": 1}, {"c": 2}]}',
    b'{"a": "\xff"}',
    b'{"a": {"b": "\\"},{"}}',
    b"{}",
    b"7",
    b'["}", "{"]',
    b'{"a" 1}',
    b'{"a": 01}',
]


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.sampled_from(_ELEMENTS), st.sampled_from([b",", b", ", b" ,\n"])), min_size=1),
    st.sampled_from([b",", None]),
    st.sampled_from([64, 200, 10_000]),
)
def test_elements_are_cut_alike_whether_at_once_or_alone(
    elements: list[tuple[bytes, bytes]], comma: bytes | None, size: int
) -> None:
    parts = [part for element, own in elements for part in (comma or own, element)]
    document = b'{"x": 1, "i": [' + b"".join(parts[1:]) + b" ]}"
    batches = list(Json("$.i", batch_bytes=size).read(io.BytesIO(document), "m"))
    spans = [range(batch.span.first_record, batch.span.last_record + 1) for batch in batches]
    raws = [batch.raw(number) for batch, span in zip(batches, spans, strict=True) for number in span]
    assert raws == [element for element, _ in elements]
    for batch in batches:
        published = document[batch.span.offset : batch.span.offset + batch.span.length]
        assert published.startswith(batch.raw(batch.span.first_record))
        assert published.endswith(batch.raw(batch.span.last_record))
