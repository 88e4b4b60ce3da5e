"""An expectation of one's own, which a declaration names as ``package.module:ClassName``."""

from __future__ import annotations

from great_expectations.expectations.core import ExpectColumnValuesToBeBetween  # noqa: TID253 -- imported by its name


class ExpectColumnValuesToBeAnAge(ExpectColumnValuesToBeBetween):
    """Values lie between 0 and 150."""

    min_value: float = 0
    max_value: float = 150
