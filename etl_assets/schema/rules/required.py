"""The rule ``required``: a record without a value is rejected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from etl_assets.schema.rules.base import ColumnRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from etl_assets.model.expectation import Expectation
    from etl_assets.schema.types import DataType


@dataclass(frozen=True)
class Required(ColumnRule):
    """A record without a value is rejected; a delivery without the column is refused."""

    kind: ClassVar[str] = "required"
    keyword: ClassVar[str] = "bool"

    def words(self, type_: DataType) -> str:  # noqa: ARG002 -- the same for every type
        """See `ColumnRule.words`."""
        return "has a value"

    def check(self, type_: DataType, where: str) -> None:
        """Do nothing: any column may be required."""

    def violated(self, type_: DataType, cell: pl.Expr, value: pl.Expr) -> pl.Expr:  # noqa: ARG002 -- no cell, no value
        """See `ColumnRule.violated`."""
        return cell.is_null()

    def audit(self, column: str, type_: DataType, key: Sequence[str]) -> Expectation:  # noqa: ARG002 -- counts alone
        """See `ColumnRule.audit`."""
        return self.expectation("expect_column_values_to_not_be_null", column, type_, column=column)
