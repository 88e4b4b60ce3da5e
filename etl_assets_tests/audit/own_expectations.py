"""A custom expectation, which a declaration names as ``package.module:ClassName``."""

from __future__ import annotations

from great_expectations.expectations.core.expect_column_values_to_be_between import (  # noqa: TID253 -- by its name
    ExpectColumnValuesToBeBetween,
)


class ExpectColumnValuesToBeAnAge(ExpectColumnValuesToBeBetween):
    """Values are between 0 and 150."""

    min_value: float = 0
    max_value: float = 150
