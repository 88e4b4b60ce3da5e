"""Values of a file with types: read in the canonical notation, and never as another type than the file has."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import pytest

from etl_assets.errors import ShapeError
from etl_assets.schema import Column, Schema
from etl_assets.validate import RuleValidator
from etl_assets_tests.validate.published import PublishedBatch

if TYPE_CHECKING:
    from etl_assets.model.batch import PublishedType

MOMENT = datetime(2024, 1, 31, 8, 5)  # noqa: DTZ001 -- a wall-clock reading


def values(column: Column, *cells: str, canonical: bool = True, types: dict[str, PublishedType] | None = None) -> Any:
    batch = PublishedBatch({"k": [str(n) for n in range(len(cells))], "x": cells})
    batch.canonical, batch.types = canonical, types or {}
    verdict = RuleValidator().validate(batch, Schema((Column("k", "integer", required=True), column), key=("k",)))
    return verdict.rows["x"].to_list()


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        (Column("x", "date", formats=("%d/%m/%Y",)), "2024-01-31", date(2024, 1, 31)),
        (Column("x", "date", formats=("%d/%m/%Y",)), "31/01/2024", date(2024, 1, 31)),
        (Column("x", "date"), "2024-01-31 00:00:00", date(2024, 1, 31)),
        (Column("x", "timestamp", formats=("%Y%m%d %H",)), "2024-01-31 08:05:00", MOMENT),
        (Column("x", "timestamp"), "2024-01-31 08:05:00.5", MOMENT.replace(microsecond=500_000)),
        (Column("x", "timestamp", zone="Europe/Paris"), "2024-01-31 08:05:00", MOMENT.replace(hour=7, tzinfo=UTC)),
        (Column("x", "timestamp", zone="UTC"), "2024-01-31 08:05:00+02:00", MOMENT.replace(hour=6, tzinfo=UTC)),
        (Column("x", "timestamp", formats=("%Y%m%d%H%z",)), "2024-01-31 08:05:00+00:00", MOMENT.replace(tzinfo=UTC)),
        (Column("x", "time", formats=("%H.%M",)), "08:05:00.000001", time(8, 5, 0, 1)),
        (Column("x", "boolean", true=("Y",), false=("N",)), "true", True),
        (Column("x", "boolean", true=("Y",), false=("N",)), "N", False),
    ],
)
def test_the_canonical_notation_is_read_beside_the_declared_one(column: Column, cell: str, value: object) -> None:
    assert values(column, cell) == [value]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        (Column("x", "date", formats=("%d/%m/%Y",)), "2024-01-31"),
        (Column("x", "boolean", true=("Y",), false=("N",)), "true"),
        (Column("x", "time", formats=("%H.%M",)), "08:05:00"),
    ],
)
def test_without_a_file_with_types_only_the_declared_notation_is_read(column: Column, cell: str) -> None:
    assert values(column, cell, canonical=False) == []


@pytest.mark.parametrize("cell", ["2024-01-31 00:00:01", "2024-01-31T00:00:00", "2024-01-31 24:00:00"])
def test_a_date_is_not_cut_out_of_a_timestamp(cell: str) -> None:
    assert values(Column("x", "date"), cell) == []


@pytest.mark.parametrize(
    ("published", "declared"),
    [
        ("integer", "text"),
        ("float", "text"),
        ("date", "text"),
        ("boolean", "text"),
        ("boolean", "integer"),
        ("integer", "boolean"),
        ("integer", "date"),
        ("time", "timestamp"),
        ("json", "integer"),
        ("uuid", "integer"),
        ("instant", "date"),
        ("instant", "timestamp"),
    ],
)
def test_a_column_of_another_type_in_the_file_is_refused(published: PublishedType, declared: Any) -> None:
    with pytest.raises(ShapeError, match=r"columns of another type.*'x' is .* declared .*Nothing of the batch"):
        values(Column("x", declared), "1", types={"x": published})


def test_a_text_in_the_file_is_read_as_any_declared_type() -> None:
    assert values(Column("x", "integer"), "007", types={"x": "text"}) == [7]


def test_the_remedy_for_an_instant_without_a_declared_zone_names_the_zone() -> None:
    with pytest.raises(ShapeError, match="without the zone='UTC' that its values would be stored in"):
        values(Column("x", "timestamp"), "2024-01-31 08:05:00+00:00", types={"x": "instant"})


def test_columns_that_are_not_declared_may_have_any_type() -> None:
    assert values(Column("x", "integer"), "1", types={"x": "integer", "other": "json"}) == [1]
