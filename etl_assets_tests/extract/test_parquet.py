"""Parquet: the exact values that are read, what is refused, and the files that are made to break readers."""

from __future__ import annotations

import io
import json
import struct
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_assets.errors import DeliveryError, DeliveryIncompleteError
from etl_assets.extract.formats.parquet import Parquet, footer
from etl_assets.extract.formats.parquet.row_groups import Column, RowGroup, row_groups_of
from etl_assets.model.delivery import MemberIndex
from etl_assets.schema import RECORD_NO
from etl_assets_tests.conformance.test_parquet_conforms import TABLE, parquet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from etl_assets.model.batch import RawBatch

SAMPLE = parquet(TABLE, row_group_size=16)
_FOOTER = struct.unpack("<I", SAMPLE[-8:-4])[0] + 8


def read(data: bytes, format_: Parquet | None = None) -> list[RawBatch]:
    return list((format_ or Parquet()).read(io.BytesIO(data), "m.parquet"))


def refusal(data: bytes) -> str:
    """Return the error with which a file is refused while it is indexed."""
    with pytest.raises(DeliveryError) as error:
        read(data)
    assert "Nothing of it was written. " in str(error.value) or "Nothing was written. " in str(error.value)
    return str(error.value)


def cells(array: Any, format_: Parquet | None = None) -> list[str | None]:
    """Return the cells that an array becomes when it is written and read."""
    (batch,) = read(parquet(pa.table({"x": array})), format_)
    return batch.frame["x"].to_list()


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([-(2**63), 2**63 - 1, None]), ["-9223372036854775808", "9223372036854775807", None]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([3.0, -0.5, 1e22, 1e-7]), ["3", "-0.5", "10000000000000000000000", "0.0000001"]),
        (pa.array([0.1, 5e-324, 1e300]), ["0.1", "5e-324", "1e+300"]),
        (pa.array([float("nan"), float("inf")]), ["NaN", "inf"]),
        (pa.array([0.1], pa.float32()), ["0.10000000149011612"]),
        (pa.array([1.5], pa.float16()), ["1.5"]),
        (pa.array([Decimal("1.10"), Decimal("-0.07")], pa.decimal128(5, 2)), ["1.10", "-0.07"]),
        (pa.array([Decimal("0.0000000001")], pa.decimal256(50, 10)), ["0.0000000001"]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (
            pa.array([0, 2_932_896, 2_932_897], pa.int32()).view(pa.date32()),
            ["1970-01-01", "9999-12-31", "2932897 days since zero"],
        ),
        (pa.array([datetime(2024, 1, 31, 8, 5)], pa.timestamp("ms")), ["2024-01-31 08:05:00"]),  # noqa: DTZ001
        (pa.array([500_000_000, 1], pa.timestamp("ns")), ["1970-01-01 00:00:00.5", "1970-01-01 00:00:00.000000001"]),
        (pa.array([2**63 - 1], pa.timestamp("us")), ["9223372036854775807 us since zero"]),
        (pa.array([10**6 + 1], pa.timestamp("us", "Asia/Tokyo")), ["1970-01-01 00:00:01.000001+00:00"]),
        (pa.array([500, 86_399_999], pa.time32("ms")), ["00:00:00.5", "23:59:59.999"]),
        (pa.array([1], pa.time64("ns")), ["00:00:00.000000001"]),
        (pa.array([timedelta(seconds=90)], pa.duration("s")), ["90 s"]),
        (pa.array(["", "NA", " é\0", None]), ["", "NA", " é\0", None]),
        (pa.array([b"text", b""]), ["text", ""]),
        (pa.array([b"ab"], pa.binary(2)), ["ab"]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.array([UUID(int=255).bytes], pa.uuid()), ["00000000-0000-0000-0000-0000000000ff"]),
        (pa.array(['{"a": 1.0}'], pa.json_()), ['{"a": 1.0}']),
        (pa.array([None]), [None]),
        (pa.array([[1, None], [], None]), ["[1, null]", "[]", None]),
        (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), ["[1, 2]", None]),
        (pa.array([{"a": 1, "b": ['"é']}, None]), ['{"a": 1, "b": ["\\"é"]}', None]),
        (pa.array([[("k", 1.0), ("l", None)]], pa.map_(pa.string(), pa.float64())), ['{"k": 1, "l": null}']),
        (pa.array([[(1, date(2024, 1, 2))]], pa.map_(pa.int8(), pa.date32())), ['{"1": "2024-01-02"}']),
        (pa.array([[Decimal("1.10")]]), ["[1.10]"]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_a_value_becomes_text_without_loss(array: Any, expected: list[str | None]) -> None:
    assert cells(array) == expected


def test_bytes_become_digits_if_declared() -> None:
    assert cells(pa.array([b"\x00\xff", None, b""]), Parquet(binary="hex")) == ["00ff", None, ""]


def test_null_words_are_no_values_in_columns_of_any_type() -> None:
    table = pa.table({"x": ["NA", "", "x"], "n": [-1, 0, 1]})
    (batch,) = read(parquet(table), Parquet(null=("NA", "-1")))
    assert batch.frame.rows() == [(None, None, 1), ("", "0", 2), ("x", "1", 3)]
    assert batch.raw(1) == b'{"x": "NA", "n": "-1"}'


@pytest.mark.parametrize(
    "array",
    [
        pa.array([b"a", b"w\xff", None]).view(pa.string()),
        pa.array([b"a", b"w\xff", None]),
        pa.array([b"a", b"w\xff", None]).view(pa.string()).dictionary_encode(),
        pa.array([[b"a"], [b"w\xff"], None]),
        pa.array([{"k": b"a"}, {"k": b"w\xff"}, None]),
    ],
    ids=lambda array: str(array.type),
)
def test_a_text_that_is_not_utf8_makes_its_record_malformed_with_its_bytes(array: Any) -> None:
    (batch,) = read(parquet(pa.table({"n": [1, 2, 3], "x": array})))
    assert batch.malformed.rows() == [(2, ["record__encoding"])]
    assert batch.frame[RECORD_NO].to_list() == [1, 3]
    assert b"w\xff" in batch.raw(2)
    assert Parquet().reread(batch.names, {2: batch.raw(2)}).malformed.rows() == [(2, ["record__encoding"])]


@pytest.mark.parametrize("raw", [b"1,2", b"[1]", b'{"a": 1}', b'{"a": "\\ud800"}', b"[" * 5000, b""])
def test_bytes_of_another_format_are_malformed_when_they_are_reread(raw: bytes) -> None:
    batch = Parquet().reread(("a",), {3: raw, 4: b'{"a": "x"}'})
    assert batch.malformed.rows() == [(3, ["record__object"])]
    assert batch.frame.rows() == [("x", 4)]


def test_places_are_row_group_and_row_of_the_file() -> None:
    batches = read(SAMPLE)
    assert [batch.location(batch.span.first_record) for batch in batches] == [
        "m.parquet:group 1:row 1",
        "m.parquet:group 2:row 17",
        "m.parquet:group 3:row 33",
    ]


@pytest.mark.parametrize("null", [(), ("7",)])
def test_names_that_polars_reads_as_patterns_are_only_names(null: tuple[str, ...]) -> None:
    names = ["", "*", "^.*$", "a.b", 'é"']
    (batch,) = read(parquet(pa.table([pa.array([1])] * 5, names=names)), Parquet(null=null))
    assert batch.names == tuple(names)
    assert batch.frame.columns == [*names, RECORD_NO]
    assert batch.frame.rows() == [(*["1"] * 5, 1)]
    assert Parquet().reread(names, {1: batch.raw(1)}).frame.rows() == batch.frame.rows()


def test_the_types_of_columns_are_those_of_the_file() -> None:
    (batch,) = read(parquet(TABLE))
    assert batch.canonical
    assert dict(batch.types) == {
        "number": "integer",
        "word": "text",
        "price": "decimal",
        "share": "float",
        "kind": "text",
        "day": "date",
        "moment": "instant",
        "clock": "time",
        "list": "json",
        "object": "json",
    }
    assert dict(Parquet().reread((), {}, batch.span.context).types) == dict(batch.types)


def test_batches_do_not_depend_on_how_much_of_a_row_group_is_read() -> None:
    data = parquet(pa.table({"n": range(1000)}), row_group_size=600)
    spans = tuple(batch.span for batch in read(data, Parquet(batch_bytes=800)))
    assert len(spans) > 10
    assert {span.offset // 600 for span in spans} == {0, 1}
    for wanted in (spans[3:4], spans[1::3], spans[-1:]):
        index = MemberIndex("m", 0, ("n",), wanted)
        for batch in Parquet(batch_bytes=10**6).read(io.BytesIO(data), "m", index=index):
            numbers = range(batch.span.offset, batch.span.offset + batch.span.length)
            assert batch.frame["n"].to_list() == list(map(str, numbers))


def test_a_large_row_group_is_read_in_parts_with_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    data = parquet(pa.table({"n": range(200_000), "x": [str(n) for n in range(200_000)]}), data_page_size=4096)
    whole = [batch.frame for batch in read(data)]
    monkeypatch.setattr(footer, "BUFFERED", 10_000)
    assert all(one.equals(other) for one, other in zip(whole, [b.frame for b in read(data)], strict=True))


def test_an_index_of_other_bytes_is_an_error() -> None:
    span = read(parquet(pa.table({"n": range(100)})))[0].span
    index = MemberIndex("m", 0, ("n",), (span,))
    with pytest.raises(DeliveryIncompleteError, match="another number of rows"):
        list(Parquet().read(io.BytesIO(parquet(pa.table({"n": range(9)}))), "m", index=index))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is not a Parquet file"),
        (b"a,b\n1,2\n" * 9, "is not a Parquet file"),
        (b"PARE" + SAMPLE[4:], "is encrypted"),
        (SAMPLE[:-1], "is cut short"),
        (SAMPLE[:200], "is cut short"),
        (b"PAR1", "is cut short"),
        (SAMPLE[:-8] + struct.pack("<I", 2**31) + b"PAR1", "is damaged"),
        (SAMPLE[:-_FOOTER] + b"\xff" * 64 + SAMPLE[64 - _FOOTER :], "is damaged"),
        (parquet(pa.table([pa.array([1])] * 2, names=["a", "a"])), "has two columns of one name: 'a'"),
        (parquet(pa.table({})), "has no columns"),
        (parquet(pa.table({RECORD_NO: [1]})), "publishes the name '_record_no'"),
        (parquet(pa.table({f"c{n}": [1] for n in range(10_001)})), "10,001 different names"),
    ],
    ids=range(12),
)
def test_an_unusable_file_is_refused_with_a_remedy(data: bytes, problem: str) -> None:
    assert problem in refusal(data)


@pytest.mark.parametrize("compression", ["none", "snappy"])
def test_a_flipped_bit_in_a_page_is_found_when_the_file_is_indexed(compression: str) -> None:
    table = pa.table({"x": range(10_000)})
    data = bytearray(parquet(table, compression=compression, use_dictionary=False, row_group_size=5000))
    end = pq.read_metadata(io.BytesIO(data)).row_group(1).column(0)
    data[end.data_page_offset + end.total_compressed_size - 1] ^= 1
    assert "m.parquet, row group 2, is damaged" in refusal(bytes(data))


def test_a_row_with_more_nested_values_than_is_credible_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = parquet(pa.table({"x": pa.array([[None] * 200_000], pa.list_(pa.int8()))}))
    monkeypatch.setattr(footer, "_CELLS", 10_000)
    assert "claims 200,000 values in only" in refusal(data)


def test_an_encrypted_column_is_refused() -> None:
    encryption = pytest.importorskip("pyarrow.parquet.encryption")
    for column in ("x", "y"):
        assert "is encrypted" in refusal(_encrypted(encryption, column))


def test_an_encrypted_column_in_a_later_row_group_alone_is_refused() -> None:
    data = parquet(pa.table({"x": range(100)}), row_group_size=50)
    length = int.from_bytes(data[-8:-4], "little")
    pages, metadata = data[: -8 - length], data[-8 - length : -8]
    last_column = metadata.rindex(b"\0\0\x16") + 1  # its last field is before the stop, and the size of the group after
    is_encrypted = bytes.fromhex("0c101c0000")  # field 8, a union with an empty struct as field 1
    changed = metadata[:last_column] + is_encrypted + metadata[last_column:]
    assert pq.read_metadata(io.BytesIO(data)).num_row_groups == 2
    assert "is encrypted" in refusal(pages + changed + len(changed).to_bytes(4, "little") + b"PAR1")


def test_row_groups_are_those_that_pyarrow_finds() -> None:
    metadata = pq.read_metadata(io.BytesIO(SAMPLE))
    assert row_groups_of(SAMPLE[-_FOOTER:-8]) == [
        RowGroup(
            group.num_rows,
            group.total_byte_size,
            [
                Column(column.num_values, column.total_uncompressed_size)
                for column in map(group.column, range(group.num_columns))
            ],
        )
        for group in map(metadata.row_group, range(metadata.num_row_groups))
    ]


def test_a_footer_with_a_field_number_that_pyarrow_takes_for_another_is_an_error() -> None:
    footer = SAMPLE[-_FOOTER:-8]
    with pytest.raises(pa.ArrowInvalid, match="do not ascend"):
        row_groups_of(footer[:-1] + bytes.fromhex("09888008") + b"\x0c\x00")  # a list with the number 65,540


def test_a_footer_with_a_field_twice_is_an_error() -> None:
    with pytest.raises(pa.ArrowInvalid, match="do not ascend"):
        row_groups_of(SAMPLE[-_FOOTER:-9] + bytes.fromhex("09080c00"))  # the row groups again, none


@given(st.binary(max_size=60))
def test_any_bytes_have_row_groups_or_are_an_error(data: bytes) -> None:
    with suppress(pa.ArrowInvalid):
        assert all(group.columns is not None for group in row_groups_of(data))


def test_a_footer_of_nested_structs_is_an_error_and_no_overflow() -> None:
    with pytest.raises(pa.ArrowInvalid, match="compact protocol"):
        row_groups_of(b"\x1c" * 100_000)


def test_an_index_that_is_not_in_its_dictionary_is_damage() -> None:
    data = parquet(pa.table({"x": ["a", "b", "c"] * 99}), compression="none", write_page_checksum=False)
    begin: Any = pq.read_metadata(io.BytesIO(data)).row_group(0).column(0).data_page_offset
    changed = bytearray(data)
    changed[begin + 60] |= 0xF0  # two of the indices, of two bits each
    assert "an index is not in its dictionary" in refusal(bytes(changed))


def _encrypted(encryption: Any, column: str) -> bytes:
    """Return a file with a readable footer and an encrypted column."""

    class Keys(encryption.KmsClient):  # type: ignore[misc]  # the module has no types
        def wrap_key(self, key: bytes, master: str) -> bytes:
            return key + master.encode()

        def unwrap_key(self, key: bytes, master: str) -> bytes:
            return key.removesuffix(master.encode())

    config = encryption.EncryptionConfiguration(
        footer_key="f", column_keys={"c": [column]}, plaintext_footer=True, double_wrapping=False
    )
    factory = encryption.CryptoFactory(lambda _: Keys())
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), config)
    return parquet(pa.table({"x": [1, 2], "y": ["a", "b"]}), encryption_properties=properties)


def test_a_file_that_claims_more_values_than_its_size_makes_credible_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = parquet(pa.table({"x": pa.array([None] * 200_000, pa.int8())}))
    assert len(read(data)) == 1
    monkeypatch.setattr(footer, "_CELLS", 10_000)
    assert "claims 200,000 values in only" in refusal(data)


def test_rows_of_one_long_text_are_cut_by_its_length_and_not_by_its_packed_size() -> None:
    data = parquet(pa.table({"x": ["x" * 10_000] * 2_000}))
    assert len(data) < 20_000
    batches = read(data, Parquet(batch_bytes=10**6))
    assert max(batch.span.records for batch in batches) <= 100


def test_a_schema_that_is_nested_too_deeply_is_refused() -> None:
    type_: pa.DataType = pa.int8()
    for _ in range(120):
        type_ = pa.struct([("a", type_)])
    assert "nested" in refusal(parquet(pa.table({"x": pa.array([None], type_)})))


@given(st.integers(0, len(SAMPLE) - 1), st.integers(1, 255), st.booleans())
@settings(max_examples=150, suppress_health_check=[HealthCheck.differing_executors])
def test_bytes_that_are_cut_or_changed_anywhere_are_refused_or_read(place: int, change: int, cut: bool) -> None:  # noqa: FBT001
    data = SAMPLE[:place] if cut else SAMPLE[:place] + bytes([SAMPLE[place] ^ change]) + SAMPLE[place + 1 :]
    try:
        batches = read(data)
    except DeliveryError:
        return
    assert not cut
    for batch in batches:
        assert batch.frame.height + batch.malformed.height == batch.span.records


_SCALARS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "integer": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float": (pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
    "decimal": (pa.decimal128(20, 4), st.decimals(-(10**15), 10**15, places=4)),
    "text": (pa.string(), st.text(st.characters(exclude_categories=["Cs"]))),
    "json": (pa.list_(pa.string()), st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])))),
}


@given(st.lists(st.tuples(*(st.none() | values for _, values in _SCALARS.values())), max_size=20))
@settings(max_examples=60, suppress_health_check=[HealthCheck.differing_executors])
def test_a_random_table_is_read_back_equal(rows: Sequence[tuple[Any, ...]]) -> None:
    columns = list(zip(*rows, strict=True)) or [()] * len(_SCALARS)
    arrays = [pa.array(column, type_) for column, (type_, _) in zip(columns, _SCALARS.values(), strict=True)]
    batches = read(parquet(pa.table(arrays, names=list(_SCALARS)), row_group_size=7))
    parse: dict[str, Any] = {"integer": int, "float": float, "decimal": Decimal, "text": str, "json": json.loads}
    again = [
        tuple(None if cell is None else parse[name](cell) for name, cell in row.items() if name != RECORD_NO)
        for batch in batches
        for row in batch.frame.to_dicts()
    ]
    assert again == rows
