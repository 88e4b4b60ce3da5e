"""Records that are written alike are cut at once: always the same columns as from records that are parsed alone."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.extract.formats.json.alike import alike
from etl_assets.extract.formats.json.columns import table
from etl_assets.extract.formats.json.objects import is_json, object_of
from etl_assets.extract.formats.ndjson import Ndjson
from etl_assets.schema import RECORD_NO
from etl_assets_tests.extract.test_ndjson import CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(CHARACTERS, max_size=6),
    st.floats(allow_nan=False, allow_infinity=False),
)
_DEEP: list[Any] = [{"x": [1, "}"], 'y"': None}, [[]]]
_VALUES = st.one_of(
    _SCALARS,
    st.lists(_SCALARS, max_size=2),
    st.dictionaries(st.text(CHARACTERS, max_size=2), _SCALARS, max_size=2),
    st.sampled_from(_DEEP),
)
_SAMPLED = 16


def all_at_once(records: Sequence[bytes]) -> tuple[list[int], dict[str, list[str | None]]]:
    """Return which of the records are written alike, and their columns."""
    found = alike(records, ())
    assert found is not None
    columns = {name: series.to_list() for name, series in found.columns.items()}
    return found.matched.arg_true().to_list(), columns


def alone(records: Sequence[bytes]) -> dict[str, list[str | None]]:
    """Return the columns of well-formed records that are parsed one by one."""
    objects = [object_ for object_ in map(object_of, records) if not isinstance(object_, str)]
    assert len(objects) == len(records)
    names = list(dict.fromkeys(name for object_ in objects for name in object_))
    return {name: cells.to_list() for name, cells in zip(names, table(objects, names, ()), strict=True)}


@settings(max_examples=60)
@given(
    st.lists(st.tuples(_VALUES, _SCALARS, _SCALARS), min_size=16, max_size=20),
    st.sampled_from([(", ", ": "), (",", ":"), (" ,  ", ":  "), (",\n", ": "), (", ", " : ")]),
    st.booleans(),
)
def test_records_of_one_serializer_give_the_columns_of_each(
    values: list[tuple[Any, ...]], separators: tuple[str, str], ascii_: Any
) -> None:
    records = [
        json.dumps({"a": a, 'b"\\': b, "ü": c}, separators=separators, ensure_ascii=ascii_).encode()
        for a, b, c in values
    ]
    matched, columns = all_at_once(records)
    shallow = [index for index, (a, _, _) in enumerate(values) if a not in _DEEP]
    assert set(matched) <= set(shallow)
    assert len(records) > _SAMPLED or matched == shallow
    assert columns == (alone([records[index] for index in matched]) or {"a": [], 'b"\\': [], "ü": []})


@settings(max_examples=40)
@given(st.integers(1, 40), st.integers(0, 2), st.sets(st.integers(0, 19)))
def test_records_of_many_columns_give_the_columns_of_each(count: int, kinds: int, nulls: set[int]) -> None:
    def value(place: int, index: int) -> int | str | None:
        text = f"text {index}"
        return None if index in nulls else (index, text, (index, text)[index % 2])[(place + kinds) % 3]

    records = [
        json.dumps({f"name {place}": value(place, index) for place in range(count)}).encode() for index in range(20)
    ]
    matched, columns = all_at_once(records)
    assert columns == alone([records[index] for index in matched])
    assert len(matched) > 2


_GOOD = b'{"a": 1, "b": "x:y", "c": null}'


@pytest.mark.parametrize(
    "record",
    [
        b'{"a": 01, "b": "x", "c": null}',
        b'{"a": NaN, "b": "x", "c": null}',
        b'{"a": 1, "b": "x", "c": nul}',
        b'{"a": 1, "b": "x", "c": }',
        b'{"a": , "b": "x", "c": null}',
        b'{"a": 1 1, "b": "x", "c": null}',
        b'{"a": 1, "b": "x", "c": null',
        b'{"a": 1, "b": "x", "c": null}}',
        b'{"a": 1, "b": "x" "c": null}',
        b'{"a": 1, "b": "x"y, "c": null}',
        b'{"a": 1, "b": "x"y", "c": null}',
        b'{"a": 1, "b": "x\ty", "c": null}',
        b'{"a": 1, "b": "\\x", "c": null}',
        b'{"a": 1, "b": "\\ud800", "c": null}',
        b'{"a": 1, "b": "\xff", "c": null}',
        b'{"a": 1, "a": 2, "c": null}',
        b'{"a": 1, "b": [1,], "c": null}',
        b'{"a": 1, "b": [1, "c": null}',
        b'{"a": 1, "b": "x", "c": null, "d": 1}',
        b'{"a": 1, "b": "x", "C": null}',
        b'{"b": "x", "a": 1, "c": null}',
        b'{"a": 1, "b": "x", "c": null }',
        b'{"a": {"a": 1}, "b": "x"}, "c"}',
        b"[1]",
        b"",
    ],
)
def test_a_record_that_is_written_otherwise_is_parsed_alone(record: bytes) -> None:
    for place in (1, 7, 20):
        matched, _ = all_at_once([*[_GOOD] * place, record, *[_GOOD] * (20 - place)])
        assert matched == [*range(place), *range(place + 1, 21)]
    found = alike([record, *[_GOOD] * 20], ())
    assert found is None or found.matched.sum() <= 1


@settings(max_examples=60)
@given(st.integers(0, 31), st.binary(max_size=2), st.integers(0, 3), st.integers(0, 16))
def test_a_record_that_is_changed_anywhere_is_never_taken_for_another(
    at: int, bytes_: bytes, removed: int, place: int
) -> None:
    changed = (_GOOD[:at] + bytes_ + _GOOD[at + removed :]).replace(b"\n", b" ")
    records = [*[_GOOD] * place, changed, *[_GOOD] * (16 - place)]
    found = alike(records, ())
    if found is not None:
        matched = [record for record, match in zip(records, found.matched, strict=True) if match]
        columns = {name: series.to_list() for name, series in found.columns.items()}
        assert columns == alone(matched) or not matched


def test_few_records_are_parsed_alone() -> None:
    assert alike([_GOOD] * 15, ()) is None


def test_records_with_a_very_long_key_are_parsed_alone() -> None:
    assert alike([json.dumps({"k" * 5_000: 1}).encode()] * 16, ()) is None


def test_records_that_are_parsed_alone_stay_between_the_others() -> None:
    others = {3: b'{"c": 1, "d": 2}', 5: b"[1]", 19: b'{"b": "last"}'}
    lines = [others.get(index, b'{"a": %d, "b": "x"}' % index) for index in range(20)]
    (batch,) = Ndjson().read(io.BytesIO(b"\n".join(lines)), "m")
    assert batch.names == ("a", "b", "c", "d")
    assert batch.frame[RECORD_NO].to_list() == [number for number in range(1, 21) if number != 6]
    assert batch.frame.row(3) == (None, None, "1", "2", 4)
    assert batch.frame.row(-1) == (None, "last", None, None, 20)
    assert batch.malformed.rows() == [(6, ["record__object"])]


_LIKE_VALUES = (
    r'[-+]?[0-9.eE]{0,5}|[+-]?(?:inf|nan|NaN|Infinity)|0x1|1_0|true|nul|"\\\\?[u"nx]?[dD89abc]{0,4}(?:\\\\uDc00)?"'
)


@settings(max_examples=300)
@given(st.from_regex(_LIKE_VALUES, fullmatch=True), st.sampled_from(['""', "0", "null"]), st.booleans())
def test_what_is_taken_for_a_value_is_a_value_of_json(text: str, other: str, nested: Any) -> None:
    value = f"[{text}]" if nested else text
    records = [b'{"a": %s}' % other.encode(), b'{"a": %s}' % value.encode()] * 8
    found = alike(records, ())
    assert found is not None
    assert found.matched[0]
    assert found.matched[1] == is_json(value.encode())
