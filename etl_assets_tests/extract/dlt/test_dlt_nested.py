"""The tables that dlt makes of nested records. It pins what is used of dlt's normalizer, which dlt does not promise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import DeliveryError
from etl_assets_tests.dlt_feeds import fetch, yielding

if TYPE_CHECKING:
    from collections.abc import Callable

ORDER: dict[str, Any] = {
    "id": 1,
    "Customer": {"Name": "Ada", "city": "Wien"},
    "lines": [{"sku": "a", "taxes": [1.5, 2]}, {"sku": "b", "parts": [[1], [2]]}],
}


@dataclass
class Thing:
    parts: list[dict[str, float]]


def orders(*records: Any, **hints: Any) -> Callable[[], Any]:
    def make() -> Any:
        import dlt

        return dlt.resource([list(records)], name="orders", **hints)

    return make


def test_the_table_of_a_list_has_its_parent_and_place() -> None:
    rows = fetch(orders(ORDER), table="orders__lines").records
    (parent,) = fetch(orders(ORDER), table="orders").records
    assert [(row["sku"], row["_dlt_list_idx"]) for row in rows] == [("a", 0), ("b", 1)]
    assert {row["_dlt_parent_id"] for row in rows} == {parent["_dlt_id"]}
    assert len({row["_dlt_id"] for row in rows}) == 2
    assert all(set(row) == {"sku", "_dlt_parent_id", "_dlt_list_idx", "_dlt_id"} for row in rows)


def test_the_table_of_the_records_has_nested_fields_as_columns_and_no_load_id() -> None:
    (row,) = fetch(orders(ORDER), table="orders").records
    assert {name: value for name, value in row.items() if name != "_dlt_id"} == {
        "id": 1,
        "customer__name": "Ada",
        "customer__city": "Wien",
    }


def test_lists_of_values_and_of_lists_are_tables() -> None:
    taxes = fetch(orders(ORDER), table="orders__lines__taxes").records
    assert [(row["value"], row["_dlt_list_idx"]) for row in taxes] == [(1.5, 0), (2, 1)]
    parts = fetch(orders(ORDER), table="orders__lines__parts__list").records
    assert [row["value"] for row in parts] == [1, 2]


def test_the_same_records_give_the_same_bytes() -> None:
    for table in ("orders", "orders__lines", "orders__lines__parts__list"):
        assert fetch(orders(ORDER), table=table).data == fetch(orders(ORDER), table=table).data


def test_the_number_of_a_record_is_of_its_primary_key() -> None:
    changed = {**ORDER, "Customer": {}}
    ids = [
        fetch(orders(record, primary_key=key), table="orders").records[0]["_dlt_id"]
        for key in ("id", ["id"], None)
        for record in (ORDER, changed)
    ]
    assert ids[0] == ids[1] == ids[2] == ids[3]
    assert len({ids[3], ids[4], ids[5]}) == 3


def test_a_list_that_may_be_empty_gives_no_rows() -> None:
    assert fetch(orders({"id": 1, "lines": []}), table="orders__lines", empty_ok=True).records == []


def test_a_table_that_there_is_not_is_refused() -> None:
    with pytest.raises(DeliveryError, match=r"gives no table 'lines': dlt makes 'orders'"):
        fetch(orders(ORDER), table="lines")


@pytest.mark.parametrize(
    "record",
    [
        {"Name": 1, "name": 2},
        {"a": {"b": 1}, "a__b": 2},
        {"lines": [{"sku": 1, "SKU": 2}]},
        {"lines": [1], "Lines": [2]},
        {"lines": [{"_dlt_list_idx": 7}]},
        {"a": [[{"x": 1, "X": 2}]]},
    ],
)
def test_names_that_become_the_same_name_are_refused(record: dict[str, Any]) -> None:
    with pytest.raises(DeliveryError, match=r"two names that are the same.*Nothing was written"):
        fetch(orders({"id": 1, **record}), table="orders", empty_ok=True)


def test_the_deepest_level_of_tables_is_that_of_the_resource() -> None:
    (row,) = fetch(orders(ORDER, max_table_nesting=0), table="orders").records
    assert row["lines"] == ORDER["lines"]
    assert row["customer"] == ORDER["Customer"]


def test_a_column_that_is_declared_as_json_is_no_table() -> None:
    (row,) = fetch(orders(ORDER, columns={"lines": {"data_type": "json"}}), table="orders").records
    assert row["lines"] == ORDER["lines"]


def test_objects_with_fields_are_taken_apart() -> None:
    rows = fetch(yielding(Thing([{"f": 2.0}, {"f": 0.5}])), table="things__parts").records
    assert [row["f"] for row in rows] == [2, 0.5]


def test_values_of_a_row_are_in_the_notation() -> None:
    big = 2**70
    (row,) = fetch(yielding({"a": [{"n": big}]}), table="things__a").records
    assert row["n"] == big
