"""Records that are written alike are split at once: always the same columns as from records that are parsed alone."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from etl_assets.extract.formats.json.alike import columns_of_alike
from etl_assets.extract.formats.json.columns import Values
from etl_assets.extract.formats.json.objects import is_json
from etl_assets.extract.formats.json.scalars import scalars
from etl_assets.extract.formats.ndjson import Ndjson
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
_VALUES = st.one_of(_SCALARS, st.lists(_SCALARS, max_size=2), st.just({"x": [1, "}"], 'y"': None}))


def columns(records: Sequence[bytes]) -> dict[str, list[str | None]] | None:
    found = columns_of_alike(records, ())
    return None if found is None else {name: series.to_list() for name, series in found.items()}


def alone(records: Sequence[bytes]) -> dict[str, list[str | None]]:
    """Return the columns of records that are parsed in batches of fewer than are split at once."""
    found: dict[str, list[str | None]] = {}
    for record in records:
        (batch,) = Ndjson().read(io.BytesIO(record.replace(b"\n", b" ")), "m")
        assert batch.malformed.is_empty()
        for name in batch.names:
            found.setdefault(name, []).append(batch.frame[name].item())
    return found


@settings(max_examples=40)
@given(
    st.lists(st.tuples(_VALUES, _SCALARS, _SCALARS), min_size=16, max_size=20),
    st.sampled_from([(", ", ": "), (",", ":"), (" ,  ", ":  "), (",\n", ": ")]),
    st.booleans(),
)
def test_records_of_one_serializer_give_the_columns_of_each(
    values: list[tuple[Any, ...]], separators: tuple[str, str], ascii_: Any
) -> None:
    records = [
        json.dumps({"a": a, 'b"\\': b, "ü": c}, separators=separators, ensure_ascii=ascii_).encode()
        for a, b, c in values
    ]
    found = columns(records)
    nested = {type(a) is dict for a, _, _ in values}
    assert found is not None or len(nested) == 2
    assert found in (None, alone(records))


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
def test_records_are_parsed_alone_if_one_of_them_is_written_otherwise(record: bytes) -> None:
    assert columns([_GOOD] * 20) is not None
    for place in (0, 7, 20):
        assert columns([*[_GOOD] * place, record, *[_GOOD] * (20 - place)]) is None


@settings(max_examples=60)
@given(st.integers(0, 31), st.binary(max_size=2), st.integers(0, 3), st.integers(0, 16))
def test_a_record_that_is_changed_anywhere_is_never_taken_for_another(
    at: int, bytes_: bytes, removed: int, place: int
) -> None:
    changed = (_GOOD[:at] + bytes_ + _GOOD[at + removed :]).replace(b"\n", b" ")
    records = [*[_GOOD] * place, changed, *[_GOOD] * (16 - place)]
    found = columns(records)
    assert found is None or found == alone(records)


def test_few_records_are_parsed_alone() -> None:
    assert columns([_GOOD] * 15) is None


_LIKE_NUMBERS = r"[-+]?[0-9.eE]{0,5}|[+-]?(?:inf|nan|NaN|Infinity)|0x1|1_0|true|nul"


@given(st.lists(st.from_regex(_LIKE_NUMBERS, fullmatch=True), min_size=1))
def test_what_is_taken_for_a_number_is_a_number_of_json(texts: list[str]) -> None:
    assume(all(texts))
    data = "".join(texts).encode()
    ends = np.cumsum([len(text) for text in texts])
    starts = np.concatenate(([0], ends[:-1]))
    nothing = np.array([], np.int64)
    found = scalars(Values(data, starts, ends, np.zeros(len(texts), bool), nothing))
    assert [text for text, flag in zip(texts, found, strict=True) if flag] == [
        text for text in texts if is_json(text.encode())
    ]
