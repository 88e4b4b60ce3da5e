"""Unusual cells are read only as the declared format says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from etl_assets.schema import Column, Schema
from etl_assets.validate import RuleValidator
from etl_assets_tests.validate.published import PublishedBatch

REFUSED = "refused"
INTEGER = Column("x", "integer")
FLOAT = Column("x", "float")
DECIMAL = Column("x", "decimal", precision=10, scale=2)
DATE = Column("x", "date")
TIMESTAMP = Column("x", "timestamp")
INSTANT = Column("x", "timestamp", formats=("%Y-%m-%dT%H:%M:%S%z",))
MORNING = datetime(2024, 1, 1, 10)  # noqa: DTZ001 -- a wall-clock reading
CELLS: list[tuple[Column, str, Any]] = [
    (INTEGER, "5", 5),
    (INTEGER, "+5", 5),
    (INTEGER, "-5", -5),
    (INTEGER, "007", 7),
    (INTEGER, " 5", REFUSED),
    (INTEGER, "5 ", REFUSED),
    (INTEGER, "", REFUSED),
    (INTEGER, "3.0", REFUSED),
    (INTEGER, "3.5", REFUSED),
    (INTEGER, "1e3", REFUSED),
    (INTEGER, "1_000", REFUSED),
    (INTEGER, "0x10", REFUSED),
    (INTEGER, "\u0665", REFUSED),
    (INTEGER, "9223372036854775807", 2**63 - 1),
    (INTEGER, "9223372036854775808", REFUSED),
    (INTEGER, "99999999999999999999", REFUSED),
    (DATE, "2023-02-28", date(2023, 2, 28)),
    (DATE, "2023-02-30", REFUSED),
    (DATE, "2023-2-3", REFUSED),
    (DATE, "+2023-2-03", REFUSED),
    (DATE, "20230203", REFUSED),
    (DATE, "2023-02-03T10:00:00", REFUSED),
    (DATE, "13/04/2023", REFUSED),
    (DATE, "0000-00-00", REFUSED),
    (DATE, "0000-01-01", REFUSED),
    (DATE, "0001-01-01", date.min),
    (DATE, "9999-12-31", date.max),
    (DATE, "epoch", REFUSED),
    (DATE, "2023-02-03\n", REFUSED),
    (TIMESTAMP, "2024-01-01T10:00:00", MORNING),
    (TIMESTAMP, "2024-01-01 10:00:00", MORNING),
    (TIMESTAMP, "2024-01-01T25:00:00", REFUSED),
    (TIMESTAMP, "2024-01-01T10:00:00.123", REFUSED),
    (TIMESTAMP, "2024-01-01T10:00:00Z", REFUSED),
    (TIMESTAMP, "2024-01-01T10:00:00+02:00", REFUSED),
    (TIMESTAMP, "2024-01-01", REFUSED),
    (TIMESTAMP, "2024-01-01T24:00:00", REFUSED),
    (TIMESTAMP, "2024-01-01T23:59:60", REFUSED),
    (TIMESTAMP, "now", REFUSED),
    (INSTANT, "2024-01-01T10:00:00Z", MORNING.replace(tzinfo=UTC)),
    (INSTANT, "2024-01-01T10:00:00+02:00", MORNING.replace(hour=8, tzinfo=UTC)),
    (INSTANT, "2024-01-01T10:00:00-0230", MORNING.replace(hour=12, minute=30, tzinfo=UTC)),
    (INSTANT, "2024-01-01T10:00:00", REFUSED),
    (INSTANT, "2024-01-01T10:00:00+24:00", REFUSED),
    (INSTANT, "0001-01-01T00:00:00+02:00", REFUSED),
    (DECIMAL, "1.23", Decimal("1.23")),
    (DECIMAL, "1.234", REFUSED),
    (DECIMAL, "1.230", Decimal("1.23")),
    (DECIMAL, "1e2", REFUSED),
    (DECIMAL, "-0.00", Decimal("0.00")),
    (DECIMAL, ".5", Decimal("0.50")),
    (DECIMAL, "5.", Decimal("5.00")),
    (DECIMAL, "12345678.99", Decimal("12345678.99")),
    (DECIMAL, "123456789.00", REFUSED),
    (DECIMAL, "12345678901.00", REFUSED),
    (DECIMAL, "NaN", REFUSED),
    (DECIMAL, "1,234.00", REFUSED),
    (DECIMAL, " 1.00", REFUSED),
    (FLOAT, "0.5", 0.5),
    (FLOAT, "1e-3", 0.001),
    (FLOAT, "NaN", REFUSED),
    (FLOAT, "inf", REFUSED),
    (FLOAT, "Infinity", REFUSED),
    (FLOAT, " 0.5", REFUSED),
    (FLOAT, "0x1p3", REFUSED),
    (FLOAT, "1_0.5", REFUSED),
    (FLOAT, "1e999", REFUSED),
]


@pytest.mark.parametrize(("column", "cell", "meaning"), CELLS, ids=lambda value: str(getattr(value, "type", value)))
def test_a_cell_is_read_as_the_declared_format_says_or_refused(column: Column, cell: str, meaning: object) -> None:
    schema = Schema((Column("k", "integer", required=True), column), key=("k",))
    verdict = RuleValidator().validate(PublishedBatch({"k": ["1"], "x": [cell]}), schema)
    if meaning is REFUSED:
        assert verdict.rejected["rules"].to_list() == [["x__type"]]
        assert verdict.rows.is_empty()
    else:
        assert verdict.rejected.is_empty()
        assert verdict.rows["x"].to_list() == [meaning]


def test_a_decimal_of_38_digits_is_exact() -> None:
    digits = "12345678901234567890123456.789012345678"
    schema = Schema((Column("k", "decimal", precision=38, scale=12, required=True),), key=("k",))
    assert RuleValidator().validate(PublishedBatch({"k": [digits]}), schema).rows["k"].to_list() == [Decimal(digits)]
